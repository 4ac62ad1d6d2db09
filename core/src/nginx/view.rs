//! What the templates see: the inventory in nginx's own terms, with every name already made. Everything here is safe to
//! stand bare in the configuration but the regexes, which go through the filter `regex_key`.
//!
//! Names of a site, a pool or a segment hold no underscore, so a name of bg's own with one more (`shop_is_mobile`,
//! `shop_segment_1`) collides neither with a pool's variable nor with another site's.

use serde::Serialize;

use super::conf::RenderError;
use super::limits::{self, LimitError};
use super::quote::QuoteError;
use super::state::INFLIGHT_STEPS;
use crate::half::Half;
use crate::inventory::{Balance, Balancer, CanaryKey, Condition, Inventory, Place, Pool, Segment};
use crate::traffic::ALL_SEGMENT;

/// The context of both templates.
#[derive(Debug, Serialize)]
pub(super) struct View {
    site: String,
    revision: u64,
    dir: String,
    listen: String,
    segments: Vec<SegmentView>,
    choices: Vec<ChoiceView>,
    key: KeyView,
    /// `00` … `98`, ten in a row; the rest is 99.
    percents: Vec<Vec<String>>,
    pools: Vec<PoolView>,
    inflight: Vec<StepView>,
}

/// One segment's conditions: each map answers 0, or what the next one says, so that a later one is asked only if needed.
#[derive(Debug, Serialize)]
struct SegmentView {
    name: String,
    conditions: Vec<ConditionView>,
}

#[derive(Debug, Default, Serialize)]
struct ConditionView {
    /// Without the `$`.
    variable: String,
    /// What is looked at, with the `$`.
    source: String,
    /// The value when the condition holds: 1, or the next condition's variable.
    matched: String,
    /// Unquoted.
    regex: Option<String>,
    networks: Option<Vec<String>>,
    /// Reads a cookie for which nginx has no variable, unquoted.
    cookie_regex: Option<String>,
}

/// `source` 1 means `segment`, else `otherwise`.
#[derive(Debug, Serialize)]
struct ChoiceView {
    variable: String,
    source: String,
    segment: Option<String>,
    otherwise: String,
}

#[derive(Debug, Serialize)]
struct KeyView {
    words: String,
    source: String,
    value: String,
    cookie_regex: Option<String>,
}

#[derive(Debug, Serialize)]
struct PoolView {
    name: String,
    variable: String,
    balance: Option<String>,
    keepalive: u32,
    keepalive_timeout_ms: u64,
    upstreams: Vec<UpstreamView>,
}

#[derive(Debug, Serialize)]
struct UpstreamView {
    half: &'static str,
    zone_kb: usize,
    /// Each the arguments of a `server` line.
    servers: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StepView {
    suffix: String,
    at_least: u32,
}

impl View {
    pub(super) fn new(inventory: &Inventory, balancer: &Balancer, revision: u64) -> Result<View, RenderError> {
        let site = &inventory.site;
        check(|| "the site's name".into(), limits::site_name(site))?;
        check(|| format!("`dir` of balancer `{}`", balancer.host), limits::path(&balancer.dir))?;
        let segments = inventory.segments.iter().map(|s| segment(site, s)).collect::<Result<_, _>>()?;
        let pools = inventory.pools.iter().map(|p| pool(site, p)).collect::<Result<_, _>>()?;
        let percents: Vec<String> = (0..99).map(|percent| format!("{percent:02}")).collect();
        let step = |at_least: u32| StepView {
            suffix: if at_least == 1 { String::new() } else { at_least.to_string() },
            at_least,
        };
        Ok(View {
            site: site.clone(),
            revision,
            dir: balancer.dir.trim_end_matches('/').to_owned(),
            listen: format!("127.0.0.1:{}", balancer.probe),
            segments,
            choices: choices(site, &inventory.segments),
            key: key(site, &inventory.canary_key)?,
            percents: percents.chunks(10).map(<[String]>::to_vec).collect(),
            pools,
            inflight: INFLIGHT_STEPS.into_iter().map(step).collect(),
        })
    }
}

fn check<T>(what: impl Fn() -> String, checked: Result<T, LimitError>) -> Result<T, RenderError> {
    checked.map_err(|why| RenderError::Value { what: what(), why })
}

fn segment(site: &str, segment: &Segment) -> Result<SegmentView, RenderError> {
    let name = &segment.name;
    check(|| format!("the name of segment `{name}`"), limits::segment_name(site, name))?;
    let count = segment.conditions.len();
    let variable =
        |index: usize| if index == 0 { format!("{site}_is_{name}") } else { format!("{site}_is_{name}_{index}") };
    let mut conditions = Vec::with_capacity(count);
    for (index, one) in segment.conditions.iter().enumerate() {
        let mut view = condition(site, name, index, one)?;
        view.variable = variable(index);
        view.matched = if index + 1 < count { format!("${}", variable(index + 1)) } else { "1".to_owned() };
        conditions.push(view);
    }
    Ok(SegmentView { name: name.clone(), conditions })
}

fn condition(site: &str, segment: &str, index: usize, condition: &Condition) -> Result<ConditionView, RenderError> {
    let of = |what: &str| format!("{what} of segment `{segment}`");
    let mut view = ConditionView::default();
    let (what, regex) = match condition {
        Condition::UserAgent(regex) => {
            view.source = "$http_user_agent".to_owned();
            ("`user_agent`".to_owned(), regex)
        }
        Condition::Header(name, regex) => {
            view.source = check(|| of("a header"), header(name))?;
            (format!("`header.{name}`"), regex)
        }
        Condition::Cookie(name, regex) => {
            let own = format!("${site}_ck_{segment}_{index}");
            (view.source, view.cookie_regex) = check(|| of("a cookie"), cookie(name, own))?;
            (format!("`cookie.{name}`"), regex)
        }
        Condition::Path(regex) => {
            view.source = "$uri".to_owned();
            ("`path`".to_owned(), regex)
        }
        Condition::Host(regex) => {
            view.source = "$host".to_owned();
            ("`host`".to_owned(), regex)
        }
        Condition::Address(networks) => {
            view.source = format!("${site}_net_{segment}_{index}");
            // nginx warns of networks with host bits and of doubles.
            let mut networks: Vec<String> = networks.iter().map(|net| net.trunc().to_string()).collect();
            networks.sort_unstable();
            networks.dedup();
            view.networks = Some(networks);
            return Ok(view);
        }
    };
    check(|| of(&what), limits::regex(regex))?;
    view.regex = Some(regex.clone());
    Ok(view)
}

/// The variable of a request header.
fn header(name: &str) -> Result<String, LimitError> {
    limits::header_name(name)?;
    Ok(format!("$http_{}", name.to_ascii_lowercase().replace('-', "_")))
}

/// The variable of a cookie. nginx's `$cookie_NAME` takes letters, digits and `_` only: for other names, `own` and the regex
/// that fills it from the header.
fn cookie(name: &str, own: String) -> Result<(String, Option<String>), LimitError> {
    limits::cookie_name(name)?;
    if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok((format!("$cookie_{name}"), None));
    }
    Ok((own, Some(format!(r"(?:^|;)\s*{}=([^;]*)", regex::escape(name)))))
}

/// The chain from the first segment to `all`.
fn choices(site: &str, segments: &[Segment]) -> Vec<ChoiceView> {
    let variable =
        |index: usize| if index == 0 { format!("{site}_segment") } else { format!("{site}_segment_{index}") };
    let otherwise = |index: usize| {
        if index + 1 < segments.len() { format!("${}", variable(index + 1)) } else { ALL_SEGMENT.to_owned() }
    };
    let choice = |(index, segment): (usize, &Segment)| ChoiceView {
        variable: variable(index),
        source: format!("${site}_is_{}", segment.name),
        segment: Some(segment.name.clone()),
        otherwise: otherwise(index),
    };
    let none = || ChoiceView {
        variable: variable(0),
        source: "\"\"".to_owned(),
        segment: None,
        otherwise: ALL_SEGMENT.to_owned(),
    };
    if segments.is_empty() { vec![none()] } else { segments.iter().enumerate().map(choice).collect() }
}

fn key(site: &str, key: &CanaryKey) -> Result<KeyView, RenderError> {
    let what = || "`[canary] key`".to_owned();
    let (words, source, cookie_regex) = match key {
        CanaryKey::Client => ("the client, by address and user agent".to_owned(), "\"\"".to_owned(), None),
        CanaryKey::Header(name) => {
            (format!("the header {name}; where it is missing, the client"), check(what, header(name))?, None)
        }
        CanaryKey::Cookie(name) => {
            let (source, regex) = check(what, cookie(name, format!("${site}_ck_key")))?;
            (format!("the cookie {name}; where it is missing, the client"), source, regex)
        }
    };
    let value = if *key == CanaryKey::Client { "\"$remote_addr|$http_user_agent\"".to_owned() } else { source.clone() };
    Ok(KeyView { words, source, value, cookie_regex })
}

fn pool(site: &str, pool: &Pool) -> Result<PoolView, RenderError> {
    let of = |what: &str| format!("{what} of pool `{}`", pool.name);
    check(|| of("the name"), limits::pool_name(site, &pool.name))?;
    let balance = match &pool.upstream.balance {
        Balance::RoundRobin => None,
        Balance::LeastConn => Some("least_conn".to_owned()),
        Balance::IpHash => Some("ip_hash".to_owned()),
        Balance::Random => Some("random".to_owned()),
        Balance::Hash(key) => {
            check(|| of("`hash`"), limits::hash_key(key))?;
            let quoted = check(|| of("`hash`"), quoted_expression(key))?;
            Some(format!("hash {quoted} consistent"))
        }
    };
    let both: Vec<&Place> = pool.blue.iter().chain(&pool.green).collect();
    let upstreams = [
        ("both", both),
        (Half::Blue.as_str(), pool.blue.iter().collect()),
        (Half::Green.as_str(), pool.green.iter().collect()),
    ];
    let upstreams = upstreams.into_iter().map(|(half, places)| {
        let servers = places.iter().map(|place| server(pool, place)).collect::<Result<Vec<_>, _>>()?;
        // 64k holds about 90 servers (measured); a host name may stand for several addresses.
        Ok(UpstreamView { half, zone_kb: 64 + 2 * servers.len().saturating_sub(16), servers })
    });
    Ok(PoolView {
        name: pool.name.clone(),
        variable: format!("{site}_{}", pool.name),
        balance,
        keepalive: pool.upstream.keepalive,
        keepalive_timeout_ms: pool.upstream.keepalive_timeout_ms,
        upstreams: upstreams.collect::<Result<_, RenderError>>()?,
    })
}

/// An nginx expression of the characters that [`limits::hash_key`] allows: its `$` are meant.
fn quoted_expression(key: &str) -> Result<String, LimitError> {
    let quoted = format!("\"{key}\"");
    if quoted.len() > super::quote::TOKEN_MAX { Err(QuoteError::TooLong(quoted.len()).into()) } else { Ok(quoted) }
}

fn server(pool: &Pool, place: &Place) -> Result<String, RenderError> {
    let what = || format!("the address of `{}` in pool `{}`", place.host, pool.name);
    check(what, limits::address(&place.address))?;
    let address = if place.address.contains(':') { format!("[{}]", place.address) } else { place.address.clone() };
    let mut words = format!("{address}:{}", place.port);
    if place.weight != 1 {
        words.push_str(&format!(" weight={}", place.weight));
    }
    // nginx counts fail_timeout in whole seconds.
    let fail_timeout_s = pool.upstream.fail_timeout_ms.div_ceil(1000);
    words.push_str(&format!(" max_fails={} fail_timeout={fail_timeout_s}s", pool.upstream.max_fails));
    if pool.upstream.max_conns > 0 {
        words.push_str(&format!(" max_conns={}", pool.upstream.max_conns));
    }
    Ok(words)
}

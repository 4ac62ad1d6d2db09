//! `[pools.NAME.health]`: what "healthy" means for the pool's servers.

use super::pools::HOUR_MS;
use super::reader::{Table, Value, Wrong};
use super::types::{Health, HealthFrom};
use super::{pattern, scalar, sections, words};

/// Headers that bg sets itself, and those that would break the request.
const OWN_HEADERS: [&str; 5] = ["host", "connection", "content-length", "transfer-encoding", "upgrade"];

/// The keys that say something about a request, and so nothing beside `run`.
const OF_REQUESTS: [&str; 10] =
    ["path", "status", "from", "release_header", "smoke", "host", "headers", "scheme", "port", "body"];

/// The pool's health check; every key has a default.
pub(super) fn health(pool: &Table<'_>) -> Health {
    let Some(table) = pool.get("health").and_then(|health| health.table()) else { return defaults() };
    let interval_key = table.get("interval");
    let within_key = table.get("within");
    let timeout_key = table.get("timeout");
    let duration =
        |key: &Option<Value<'_>>, least| key.as_ref().and_then(|value| value.string(scalar::duration(least, HOUR_MS)));
    let default = defaults();
    let health = Health {
        interval_ms: duration(&interval_key, 10).unwrap_or(default.interval_ms),
        timeout_ms: duration(&timeout_key, 10).unwrap_or(default.timeout_ms),
        within_ms: duration(&within_key, 100).unwrap_or(default.within_ms),
        successes: table.get("successes").and_then(|value| value.integer(1..=1_000)).unwrap_or(default.successes),
        run: table.get("run").and_then(|value| value.string(command)),
        ..request(&table, default)
    };
    if health.run.is_some() {
        for key in OF_REQUESTS.iter().filter_map(|key| table.get(key)) {
            key.wrong_key(Wrong::new("excludes `run`", "there is no request when a command decides"));
        }
    }
    let culprit = within_key.or(interval_key).or(timeout_key);
    check_times(&table, &health, culprit);
    table.finish("pools.NAME.health");
    health
}

fn defaults() -> Health {
    Health {
        path: "/".to_owned(),
        status: vec![(200, 299)],
        interval_ms: 1_000,
        timeout_ms: 2_000,
        within_ms: 60_000,
        successes: 3,
        from: HealthFrom::Balancers,
        release_header: None,
        smoke: Vec::new(),
        host: None,
        headers: Vec::new(),
        scheme: "http".to_owned(),
        port: None,
        body: None,
        run: None,
    }
}

/// The keys of [`OF_REQUESTS`].
fn request(table: &Table<'_>, default: Health) -> Health {
    let from = table
        .get("from")
        .and_then(|value| value.choice(&[("balancers", HealthFrom::Balancers), ("host", HealthFrom::Host)]));
    if let Some(scheme) = table.get("scheme") {
        scheme.string(plain_http);
    }
    Health {
        path: table.get("path").and_then(|value| value.string(scalar::request_path)).unwrap_or(default.path),
        status: table.get("status").and_then(|value| value.string(scalar::status)).unwrap_or(default.status),
        from: from.unwrap_or(default.from),
        release_header: table.get("release_header").and_then(|value| value.string(scalar::header_name)),
        smoke: table.get("smoke").and_then(|value| value.strings(scalar::request_path)).unwrap_or_default(),
        host: table.get("host").and_then(|value| value.string(scalar::host_header)),
        headers: table.get("headers").and_then(|value| value.table()).map(headers).unwrap_or_default(),
        port: table.get("port").and_then(|value| sections::port(&value)),
        body: table.get("body").and_then(|value| value.string(pattern::body)),
        ..default
    }
}

fn headers(table: Table<'_>) -> Vec<(String, String)> {
    let header = |entry: Value<'_>| {
        let name = scalar::header_name(entry.key).map_err(|wrong| entry.wrong_key(wrong)).ok();
        if OWN_HEADERS.iter().any(|own| entry.key.eq_ignore_ascii_case(own)) {
            let help = entry.key.eq_ignore_ascii_case("host").then_some("write `host = …` in the health table instead");
            let wrong = Wrong::new("cannot be set", "bg sets this header itself");
            entry.wrong_key(match help {
                Some(help) => wrong.help(help),
                None => wrong,
            });
        }
        Some((name?, entry.string(scalar::header_value)?))
    };
    table.entries().into_iter().filter_map(header).collect()
}

/// A check that cannot succeed in time is a slip.
fn check_times(table: &Table<'_>, health: &Health, culprit: Option<Value<'_>>) {
    let least_ms = u64::from(health.successes - 1) * health.interval_ms;
    let wrong = if least_ms >= health.within_ms {
        Wrong::new(
            "leaves no time to become healthy",
            format!("{} successes {} ms apart take {least_ms} ms at least", health.successes, health.interval_ms),
        )
    } else if health.timeout_ms > health.within_ms {
        Wrong::new("leaves no time to become healthy", "one request may take longer than all of them together")
    } else {
        return;
    };
    match culprit {
        Some(value) => value.wrong(wrong.help("`within` is the time for all of them")),
        None => table.wrong(wrong),
    }
}

fn plain_http(text: &str) -> Result<(), Wrong> {
    if text == "http" {
        return Ok(());
    }
    let wrong = Wrong::new("is not a known value", "must be `http`");
    Err(if text == "https" { wrong.help("for https, let a command decide: `run = \"…\"`") } else { wrong })
}

fn command(text: &str) -> Result<String, Wrong> {
    let text = scalar::line(text)?;
    words::check(&text, &words::ALL)?;
    Ok(text)
}

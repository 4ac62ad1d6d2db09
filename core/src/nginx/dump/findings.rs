//! What in a balancer's configuration is missing, or lets traffic pass bg by.

use std::sync::Arc;

use super::{Directive, Dump, limit_conn, passes, servers};
use crate::inventory::{Balancer, Inventory};
use crate::nginx::conf::{self, HTTP_CONF, SERVER_CONF};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something of the user's no longer works as he wrote it; traffic is switched all the same.
    Warning,
    /// bg cannot keep its promises with this.
    Error,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Whether traffic could pass bg by, or be in flight unseen: deploy and restore refuse then.
    pub bypass: bool,
    /// The file on the balancer.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// What is wrong, its objects in backticks.
    pub message: String,
    /// What to do, with the exact line to write.
    pub fix: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {} {}", self.file, self.line, self.message, self.fix)
    }
}

impl Finding {
    pub(super) fn at(directive: &Directive, message: String, fix: String) -> Finding {
        let file = directive.file.to_string();
        Finding { severity: Severity::Error, bypass: true, file, line: directive.line, message, fix }
    }
}

/// The site and the balancer that a configuration is read for, and which of the loaded files are bg's own.
pub(super) struct Site<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) balancer: &'a Balancer,
    http_conf: Vec<Arc<str>>,
    server_conf: Vec<Arc<str>>,
}

impl<'a> Site<'a> {
    fn new(inventory: &'a Inventory, balancer: &'a Balancer, dump: &Dump) -> Site<'a> {
        // By path, or by their first line where the include goes through a symbolic link.
        let files = |name: &str| {
            let path = format!("{}/{name}", balancer.dir.trim_end_matches('/'));
            let says = |text: &str| conf::parse_first_line(text).is_some_and(|first| first.site == inventory.site);
            let ours =
                |file: &str, text: &str| super::glob(&path, file) || file.ends_with(&format!("/{name}")) && says(text);
            dump.files.iter().filter(|(file, text)| ours(file, text)).map(|(file, _)| Arc::clone(file)).collect()
        };
        Site { inventory, balancer, http_conf: files(HTTP_CONF), server_conf: files(SERVER_CONF) }
    }

    pub(super) fn is_http_conf(&self, directive: &Directive) -> bool {
        self.http_conf.contains(&directive.file)
    }

    pub(super) fn is_server_conf(&self, directive: &Directive) -> bool {
        self.server_conf.contains(&directive.file)
    }

    /// The line that includes one of bg's files.
    pub(super) fn include(&self, name: &str) -> String {
        format!("include {}/{name};", self.balancer.dir.trim_end_matches('/'))
    }
}

/// Everything in the configuration that `dump` is, of the nginx on `balancer`, that is not as bg needs it, in the order of
/// the checks. Empty: all is well.
pub fn findings(inventory: &Inventory, balancer: &Balancer, dump: &Dump) -> Vec<Finding> {
    let site = Site::new(inventory, balancer, dump);
    let mut found = Vec::new();
    found.extend(http_include(&site, dump));
    let http: Vec<&Directive> = dump.http().flat_map(Directive::children).collect();
    let users: Vec<&Directive> = http.iter().copied().filter(|d| !site.is_http_conf(d)).collect();
    found.extend(servers::findings(&site, &users));
    found.extend(limit_conn::findings(&site, &users));
    found.extend(passes::findings(&site, &users));
    found
}

/// http.conf stands once, at the http level.
fn http_include(site: &Site<'_>, dump: &Dump) -> Option<Finding> {
    let include = site.include(HTTP_CONF);
    let Some(http) = dump.http().next() else {
        let file = dump.files.first().map(|(file, _)| file.to_string()).unwrap_or_default();
        let message = "nginx has no `http` block here, so nothing is switched.".to_owned();
        let fix = format!("Add `http {{ {include} }}`.");
        return Some(Finding { severity: Severity::Error, bypass: true, file, line: 1, message, fix });
    };
    let ours: Vec<&Directive> = dump.http().flat_map(Directive::children).filter(|d| site.is_http_conf(d)).collect();
    let times = ours.first().map_or(0, |first| ours.iter().filter(|d| d.line == first.line).count());
    match times {
        0 => Some(Finding::at(
            http,
            format!("bg's `{HTTP_CONF}` is not included at the http level, so nothing is switched here."),
            format!("Add to the `http` block: `{include}`"),
        )),
        1 => None,
        _ => Some(Finding::at(
            http,
            format!("bg's `{HTTP_CONF}` is included {times} times."),
            "Keep one of them.".to_owned(),
        )),
    }
}

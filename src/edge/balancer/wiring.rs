//! What nginx's own configuration says about how it uses bg's files: from `nginx -T`, never from guesses.

use std::net::IpAddr;

use bluegreen_core::nginx::dump::{Dump, Finding, findings, longest_limit_req_delay_ms};
use ipnet::IpNet;

use super::error::{Error, Kind};
use super::live::yes_no;
use super::{Balancers, last_lines, line, script};
use crate::edge::host::Run;

/// `nginx -T` of a large site: megabytes of maps and certificates' paths.
const DUMP_MAX: usize = 32 * 1024 * 1024;
/// How long nginx may take to read its whole configuration: it resolves every upstream's name.
const DUMP_BOUND: std::time::Duration = std::time::Duration::from_secs(30);

/// How one nginx uses bg's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wiring {
    /// What is missing, or lets traffic pass bg by; empty: all is well.
    pub findings: Vec<Finding>,
    /// How long a `limit_req` may hold a request back before it is counted: a drain waits this first.
    pub longest_limit_req_delay_ms: u64,
}

impl Balancers {
    /// Reads nginx's whole configuration and what is wrong with it for bg.
    ///
    /// # Errors
    /// `Dump` when nginx refuses its configuration or it cannot be read, `NoRights`.
    pub async fn wiring(&self, host: &str) -> Result<Wiring, Error> {
        let balancer = self.at(host)?;
        let text = self.dump(host).await?;
        let dump = Dump::parse(&text).map_err(|error| {
            let command = line::as_run(&line::dump(&balancer.test), balancer.sudo);
            Error::new(host, Kind::Dump { command, lines: vec![error.to_string()] })
        })?;
        Ok(Wiring {
            findings: findings(&self.inventory, balancer, &dump),
            longest_limit_req_delay_ms: longest_limit_req_delay_ms(&dump),
        })
    }

    /// nginx's whole configuration as `nginx -T` prints it.
    ///
    /// # Errors
    /// `Dump` when nginx refuses its configuration or prints more than is kept, `NoRights`.
    pub async fn dump(&self, host: &str) -> Result<String, Error> {
        let balancer = self.at(host)?;
        let command = line::as_run(&line::dump(&balancer.test), balancer.sudo);
        let run =
            Run::script("nginx -T", script::DUMP.text, [command.as_str()]).timeout(DUMP_BOUND).max_output(DUMP_MAX);
        let output = self.hosts.get(host).run(run).await.map_err(|e| Error::new(host, e))?;
        let mut lines = last_lines(&output.stderr_text());
        if output.status == script::NO_RIGHT_EXIT {
            let said = lines.pop().map_or_else(String::new, |line| format!(" ({line})"));
            return Err(Error::new(host, Kind::NoRights { command, said }));
        }
        if output.stdout_cut > 0 {
            lines = vec![format!("it is longer than {} MiB", DUMP_MAX / 1024 / 1024)];
        } else if output.is_success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(Error::new(host, Kind::Dump { command, lines }))
    }

    /// The balancer's own addresses, loopback and link-local ones among them: what the pools may see it connect from,
    /// where the inventory names no `address`.
    ///
    /// # Errors
    /// When the host cannot be asked.
    pub async fn own_addresses(&self, host: &str) -> Result<Vec<IpNet>, Error> {
        let answer = self.script(host, script::ADDRESSES, &[], None).await?;
        let addresses = answer.words().filter_map(|word| word.parse::<IpAddr>().ok()).map(IpNet::from);
        let mut addresses: Vec<IpNet> = addresses.collect();
        addresses.sort_unstable();
        addresses.dedup();
        Ok(addresses)
    }

    /// What the pools see this balancer connect from: the inventory's `address`, else the host's own addresses.
    ///
    /// # Errors
    /// As [`Balancers::own_addresses`].
    pub async fn addresses(&self, host: &str) -> Result<Vec<IpNet>, Error> {
        let named = &self.at(host)?.address;
        if named.is_empty() { self.own_addresses(host).await } else { Ok(named.clone()) }
    }

    /// Whether the configuration on the balancer's disk includes this site's http.conf.
    pub(super) async fn includes_http_conf(&self, host: &str) -> Result<bool, Error> {
        let marker = format!("# configuration file {}/http.conf:", self.at(host)?.dir);
        Ok(self.dump(host).await?.lines().any(|line| line == marker))
    }

    /// The error log's lines since `began`, as a sentence for a message; says so where they cannot be had.
    pub(super) async fn log_since(&self, host: &str, began: &str) -> String {
        let Ok(balancer) = self.at(host) else { return String::new() };
        let log = match self.dump(host).await {
            Ok(text) => Dump::parse(&text).ok().as_ref().and_then(error_log),
            Err(_) => None,
        };
        let Some(log) = log else {
            return "Its error log's place cannot be told from `nginx -T`: look there for the reason".to_owned();
        };
        let args = [yes_no(balancer.sudo), &log, began];
        let run = Run::script(script::LOG_SINCE.name, script::LOG_SINCE.text, args).standing();
        match self.hosts.get(host).run(run).await {
            Ok(output) if output.is_success() => match last_lines(&output.stdout_text()) {
                lines if lines.is_empty() => format!("Its error log `{log}` says nothing new"),
                lines => format!("Its error log says: {}", lines.join(" · ")),
            },
            _ => format!("Its error log `{log}` could not be read: look there for the reason"),
        }
    }
}

/// The file that nginx's main context logs to; none where it is stderr, syslog or the one that was compiled in.
fn error_log(dump: &Dump) -> Option<String> {
    let mut logs = dump.root.iter().filter(|directive| directive.name == "error_log");
    logs.find_map(|log| log.args.first().filter(|file| file.starts_with('/')).cloned())
}

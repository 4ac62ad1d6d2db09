//! `exec`: one command on many hosts at once, its output labelled as it comes.

use std::time::Duration;

use bluegreen_core::{half::Half, inventory::Inventory};
use serde_json::{Value, json};

use super::{Context, answer::Answer, complete, error::CliError, locate, screen::Screen, with_hosts};
use crate::{
    edge::host::{HostError, Hosts, Line, Run, Stream, fan_out, printable},
    engine::Exit,
};

/// What came of it on one host: its status, or why there is none.
type Ended = (String, Result<i32, HostError>);

/// Runs `words` on every host that `target` names.
pub fn run(context: &Context, target: &str, words: &[String], bound: Duration) -> Result<Answer, CliError> {
    let located = context.inventory()?;
    let names = hosts_of(&located.inventory, target)?;
    let screen = context.screen;
    let ended = with_hosts(&located, async |hosts| fan(&hosts, &names, words, bound, screen).await)?;
    let Some(ended) = ended else {
        return Ok(Answer::new(
            Exit::Interrupted,
            "stopped as asked; on the hosts the command ends with its connection",
        ));
    };
    Ok(answer(&ended))
}

async fn fan(hosts: &Hosts, names: &[String], words: &[String], bound: Duration, screen: Screen) -> Vec<Ended> {
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let work = |name: String| async move {
        let run = || match words {
            // As with ssh: one word may be a whole shell line.
            [line] => Run::shell("exec", line.as_str()).timeout(bound),
            words => Run::new("exec", words.iter().cloned()).timeout(bound),
        };
        let host = hosts.get(&name);
        host.stream_alone(run, |line| print(screen, &name, width, &line)).await
    };
    fan_out(names.iter().cloned(), hosts.parallel(), work).await
}

fn print(screen: Screen, host: &str, width: usize, line: &Line) {
    let stream = if line.stream == Stream::Stdout { "stdout" } else { "stderr" };
    if screen.json {
        screen.raw(&json!({ "host": host, "stream": stream, "line": line.text }).to_string());
        return;
    }
    let text = |is_terminal: bool| if is_terminal { printable(&line.text) } else { line.text.clone() };
    let label = format!("{host:width$} │");
    match line.stream {
        Stream::Stdout => _ = screen.raw(&format!("{} {}", screen.paint_out(&label, "36"), text(screen.terminal))),
        Stream::Stderr => screen.raw_err(&format!("{} {}", screen.paint_err(&label, "33"), text(screen.terminal_err))),
    }
}

fn answer(ended: &[Ended]) -> Answer {
    let hosts: serde_json::Map<String, Value> =
        ended.iter().map(|(host, result)| (host.clone(), document(result))).collect();
    let failed: Vec<String> = ended.iter().filter_map(failure).collect();
    let answer = if failed.is_empty() {
        Answer::new(Exit::Done, format!("done on {}", count(ended.len())))
    } else {
        let list = failed.join("; ");
        let (failed, all) = (failed.len(), ended.len());
        Answer::new(
            Exit::Failed,
            match (failed, all) {
                (1, 1) => format!("failed: {list}"),
                _ if failed == all => format!("failed on all {}: {list}", count(all)),
                _ => format!("failed on {failed} of {}: {list}. On the others it is done", count(all)),
            },
        )
    };
    answer.with("hosts", Value::Object(hosts))
}

fn count(hosts: usize) -> String {
    if hosts == 1 { "1 host".to_owned() } else { format!("{hosts} hosts") }
}

fn document(result: &Result<i32, HostError>) -> Value {
    match result {
        Ok(status) => json!({ "status": status, "error": null }),
        Err(error) => json!({ "status": null, "error": error.to_string() }),
    }
}

fn failure((host, result): &Ended) -> Option<String> {
    match result {
        Ok(0) => None,
        Ok(status) => Some(format!("`{host}` ended with {status}")),
        Err(error) => Some(error.to_string()),
    }
}

/// The hosts that `POOL`, `POOL/HALF`, `balancers` or `HOST` names, each once.
fn hosts_of(site: &Inventory, target: &str) -> Result<Vec<String>, CliError> {
    let (name, half) = match target.split_once('/') {
        Some((name, "blue")) => (name, Some(Half::Blue)),
        Some((name, "green")) => (name, Some(Half::Green)),
        _ => (target, None),
    };
    let mut hosts: Vec<String> = Vec::new();
    if target == "balancers" {
        hosts.extend(site.balancers.iter().map(|balancer| balancer.host.clone()));
    } else if let Some(pool) = site.pools.iter().find(|pool| pool.name == name) {
        let halves = Half::ALL.into_iter().filter(|one| half.is_none_or(|half| half == *one));
        hosts.extend(halves.flat_map(|half| pool.half(half)).map(|place| place.host.clone()));
    } else if complete::targets(site).iter().any(|host| host == target) {
        hosts.push(target.to_owned());
    }
    let mut once: Vec<String> = Vec::new();
    for host in hosts {
        if !once.contains(&host) {
            once.push(host);
        }
    }
    if once.is_empty() { Err(unknown(site, target)) } else { Ok(once) }
}

fn unknown(site: &Inventory, target: &str) -> CliError {
    let targets = complete::targets(site);
    let hint = match locate::nearest(target, &targets) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", targets.join(", ")),
    };
    CliError::usage(format!("`{target}` is no pool, half or host of this inventory"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bluegreen_core::inventory::{EXAMPLE, parse};

    #[test]
    fn a_target_is_a_pool_a_half_the_balancers_or_a_host() {
        let site = parse("production", "production.toml", EXAMPLE).unwrap();
        let hosts = |target| hosts_of(&site, target).map_err(|error| error.hint().unwrap_or_default());
        let web = ["web1.example.net", "web3.example.net", "web2.example.net", "web4.example.net"].map(String::from);
        assert_eq!(hosts("web").unwrap(), web);
        assert_eq!(hosts("web/green").unwrap(), web[2..]);
        assert_eq!(hosts("balancers").unwrap(), ["lb1.example.net", "lb2.example.net"]);
        assert_eq!(hosts("api1.example.net").unwrap(), ["api1.example.net"]);
        assert_eq!(hosts("web/gren").unwrap_err(), "did you mean `web/green`?");
        assert_eq!(hosts("balancer").unwrap_err(), "did you mean `balancers`?");
    }

    #[test]
    fn failures_are_named_with_their_status() {
        let ended = [("web1".to_owned(), Ok(0)), ("web2".to_owned(), Ok(3))];
        let answer = answer(&ended);
        assert_eq!(answer.exit, Exit::Failed);
        assert_eq!(answer.message, "failed on 1 of 2 hosts: `web2` ended with 3. On the others it is done");
        let message = |ended: &[(&str, i32)]| {
            let ended: Vec<Ended> = ended.iter().map(|(host, status)| ((*host).to_owned(), Ok(*status))).collect();
            super::answer(&ended).message
        };
        assert_eq!(message(&[("web2", 3)]), "failed: `web2` ended with 3");
        let both = message(&[("web1", 1), ("web2", 3)]);
        assert_eq!(both, "failed on all 2 hosts: `web1` ended with 1; `web2` ended with 3");
    }
}

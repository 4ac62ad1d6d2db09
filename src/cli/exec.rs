//! `exec`: one command on many hosts at once, its output labelled as it comes.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bluegreen_core::{
    half::Half,
    inventory::{Inventory, spoken_duration},
    quote::shell_line,
};
use serde_json::{Value, json};

use super::{
    Context,
    answer::Answer,
    complete,
    error::CliError,
    locate,
    measure::one_line,
    progress::Telling,
    screen::Screen,
    suspend::{Suspend, watch_return},
    terminal::Glyphs,
    with_hosts,
};
use crate::{
    edge::host::{HostError, Hosts, Line, Run, Stream, fan_out, printable},
    engine::{Doing, Exit, Progress, Report, alike, some_of},
};

/// Hosts that are named while it runs there: more would push its output off the screen.
const NAMED: usize = 8;
/// Targets that are named where somebody named none that there is: the pools come first, and completion knows the rest.
const TARGETS: usize = 16;

/// What came of it on one host: its status, or why there is none.
type Ended = (String, Result<i32, HostError>);

/// Runs `words` on every host that `target` names.
pub fn run(context: &Context, target: &str, words: &[String], bound: Duration) -> Result<Answer, CliError> {
    let located = context.inventory()?;
    let names = hosts_of(&located.inventory, target)?;
    // What reads it through a pipe may have the terminal for itself (`less`).
    let screen = Screen { live: context.screen.live && context.screen.terminal, ..context.screen };
    let suspend = screen.live.then(Suspend::hold_back).and_then(Result::ok);
    let telling = Telling::new(screen);
    if let Some(suspend) = suspend {
        suspend.watch(telling.clone());
    }
    let work = Work { words, bound, screen, telling: telling.clone(), ends: Mutex::default() };
    let ended = with_hosts(&located, async |hosts| {
        tokio::spawn(watch_return(telling.clone()));
        work.fan(&hosts, &names).await
    });
    telling.finish();
    let ended = ended?;
    let Some(ended) = ended else {
        return Ok(Answer::new(
            Exit::Interrupted,
            "stopped as asked; on the hosts the command ends with its connection",
        ));
    };
    Ok(answer(&ended))
}

/// The command, and how it is told of.
struct Work<'a> {
    words: &'a [String],
    bound: Duration,
    screen: Screen,
    telling: Telling,
    /// The hosts where it ended, and whether well.
    ends: Mutex<Vec<(String, bool)>>,
}

impl Work<'_> {
    async fn fan(&self, hosts: &Hosts, names: &[String]) -> Vec<Ended> {
        let width = names.iter().map(String::len).max().unwrap_or(0);
        let line = match self.words {
            [line] => line.clone(),
            words => shell_line(words),
        };
        self.telling.runs(&one_line(&line));
        self.tell(names);
        let work = |name: String| async move {
            let run = || match self.words {
                // As with ssh: one word may be a whole shell line.
                [line] => Run::shell("exec", line.as_str()).timeout(self.bound),
                words => Run::new("exec", words.iter().cloned()).timeout(self.bound),
            };
            let host = hosts.get(&name);
            let print = |line: Line| self.telling.aside(|| print(self.screen, &name, width, &line));
            let ended = host.stream_alone(run, print).await;
            let is_well = matches!(ended, Ok(0));
            self.ends.lock().unwrap_or_else(PoisonError::into_inner).push((name, is_well));
            self.tell(names);
            ended
        };
        fan_out(names.iter().cloned(), hosts.parallel(), work).await
    }

    /// Where something is drawn: who is waited for.
    fn tell(&self, names: &[String]) {
        if !self.screen.live {
            return;
        }
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.len() == names.len() {
            return;
        }
        let waits = Doing::Says(waits(names, &ends, self.bound));
        self.telling.reporter()(Report::Progress(Progress::whole(waits)));
    }
}

/// `waiting for 2 of 20 hosts, at most 1h each: web3, web7; failed on web4`.
fn waits(names: &[String], ends: &[(String, bool)], bound: Duration) -> String {
    let left: Vec<&String> = names.iter().filter(|name| !ends.iter().any(|(ended, _)| ended == *name)).collect();
    let failed: Vec<&String> = ends.iter().filter(|(_, is_well)| !is_well).map(|(name, _)| name).collect();
    let bound = spoken_duration(u64::try_from(bound.as_millis()).unwrap_or(u64::MAX));
    let who = some_of(&left, NAMED);
    let waits = match names.len() {
        1 => format!("waiting for {who}, at most {bound}"),
        all => format!("waiting for {} of {}, at most {bound} each: {who}", left.len(), count(all)),
    };
    if failed.is_empty() { waits } else { format!("{waits}; failed on {}", some_of(&failed, NAMED)) }
}

fn print(screen: Screen, host: &str, width: usize, line: &Line) {
    let stream = if line.stream == Stream::Stdout { "stdout" } else { "stderr" };
    if screen.json {
        screen.raw(&json!({ "host": host, "stream": stream, "line": line.text }).to_string());
        return;
    }
    let text = |is_terminal: bool| if is_terminal { printable(&line.text) } else { line.text.clone() };
    let label = |glyphs: Glyphs| format!("{host:width$} {}", glyphs.beside);
    match line.stream {
        Stream::Stdout => {
            let label = screen.paint_out(&label(screen.glyphs), "36");
            screen.raw(&format!("{label} {}", text(screen.terminal)));
        }
        Stream::Stderr => {
            let label = screen.paint_err(&label(screen.glyphs_err), "33");
            screen.raw_err(&format!("{label} {}", text(screen.terminal_err)));
        }
    }
}

fn answer(ended: &[Ended]) -> Answer {
    let hosts: serde_json::Map<String, Value> =
        ended.iter().map(|(host, result)| (host.clone(), document(result))).collect();
    let failed: Vec<(String, String)> =
        ended.iter().filter_map(|ended| Some((ended.0.clone(), failure(ended)?))).collect();
    let answer = if failed.is_empty() {
        Answer::new(Exit::Done, format!("done on {}", count(ended.len())))
    } else {
        let (number, list) = (failed.len(), alike(failed).join("; "));
        let (failed, all) = (number, ended.len());
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
        None => format!("there are: {}", some_of(&targets, TARGETS)),
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
        let short = EXAMPLE.replace(".example.net", "");
        let short = parse("production", "production.toml", &short).unwrap();
        let near = |target| hosts_of(&short, target).unwrap_err().hint().unwrap();
        let pool_before_host = ["wbe", "weeb", "web9x", "wb4"].map(near);
        assert_eq!(pool_before_host, ["web", "web", "web", "web4"].map(|near| format!("did you mean `{near}`?")));
        let many = EXAMPLE.replacen("lb[1-2].", "lb[1-30].", 1);
        let many = parse("production", "production.toml", &many).unwrap();
        let hint = hosts_of(&many, "xyz").unwrap_err().hint().unwrap();
        assert!(hint.starts_with("there are: balancers, web, ") && hint.ends_with(" more"), "{hint}");
    }

    #[test]
    fn who_is_waited_for_is_named_but_not_without_end() {
        let names: Vec<String> = (1..=20).map(|number| format!("web{number}")).collect();
        let minute = Duration::from_secs(60);
        assert_eq!(waits(&names[..1], &[], minute), "waiting for web1, at most 1m");
        let all =
            "waiting for 20 of 20 hosts, at most 1h each: web1, web2, web3, web4, web5, web6, web7, web8 and 12 more";
        assert_eq!(waits(&names, &[], Duration::from_secs(3600)), all);
        let ended: Vec<(String, bool)> = names[2..].iter().map(|name| (name.clone(), name != "web4")).collect();
        let two = "waiting for 2 of 20 hosts, at most 90s each: web1, web2; failed on web4";
        assert_eq!(waits(&names, &ended, Duration::from_secs(90)), two);
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
        let alike = message(&[("web1", 1), ("web2", 3), ("web3", 1)]);
        assert_eq!(alike, "failed on all 3 hosts: `web1` ended with 1; the same on `web3`; `web2` ended with 3");
    }
}

//! Two operators press Enter at the same instant, again and again: exactly one proceeds, the other is told who it is.

use std::{env, fs, time::Duration};

use bg_playground::{Playground, Ran, Running, until};
use bluegreen_core::rollout::{Entry, Event, decode};
use nix::sys::signal::Signal;

use super::{
    operator::Operator,
    tally::{Tally, seed},
};
use crate::desk::{SOON, journal, small};

/// How often in a quick run, and how often the one that proceeds is let through to its end instead of being killed.
const TIMES: usize = 16;
const THROUGH_EVERY: usize = 8;

/// `$BG_STARTS`, or a few.
fn times() -> usize {
    env::var("BG_STARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(TIMES)
}

/// Both wait for the balancer until `hold` is gone, so whoever has the lock keeps it until the other has ended. With
/// `dead` what a killed command was connecting goes nowhere.
fn hold_balancers(site: &Playground) {
    let text = fs::read_to_string(site.ssh_config()).unwrap();
    let dir = site.dir().display();
    let held = format!(
        "Match originalhost lb1 exec \"while [ -e {dir}/hold ]; do sleep 0.01; done; [ -e {dir}/dead ]\"\n  Port 1\n"
    );
    fs::write(site.ssh_config(), format!("{held}{text}")).unwrap();
}

fn canaries(site: &Playground) -> usize {
    let entries = journal(site).lines().map_while(|line| decode(line).ok()).collect::<Vec<Entry>>();
    let events = entries.iter().flat_map(|entry| &entry.events);
    events.filter(|event| matches!(event, Event::CommandStarted { .. })).count()
}

/// The one that was refused, and the one that was not (and its process id), which goes on as soon as the other has ended,
/// or dies then.
fn race(site: &Playground, operators: &[Operator; 2], words: [String; 2], is_through: bool) -> (Ran, Ran, i32) {
    let hold = site.dir().join("hold");
    fs::write(&hold, "").unwrap();
    let mut both: Vec<Running> = operators.iter().zip(&words).map(|(by, words)| by.start(site, words)).collect();
    let loser = until(SOON, "the end of one of two", || both.iter_mut().position(Running::has_ended)).unwrap();
    let loser = both.remove(loser).wait(SOON).unwrap();
    let winner = both.remove(0);
    let pid = winner.pid();
    if !is_through {
        winner.signal(Signal::SIGKILL);
    }
    fs::remove_file(hold).unwrap();
    (loser, winner.wait(SOON).unwrap(), pid)
}

/// On the journal at `location`, as the inventory names it from any directory.
fn start_at_the_same_instant(name: &str, site: &Playground, location: &str) {
    let (seed, times) = (seed(), times());
    let old = "journal = \"file:.bg/shop\"";
    site.edit_inventory(|text| text.replace(old, &format!("journal = \"{location}\""))).unwrap();
    let operators = [Operator::first(site), Operator::second(site)];
    let mut tally = Tally::default();
    for round in 0..times {
        let is_through = round % THROUGH_EVERY == 0;
        let dead = site.dir().join("dead");
        if is_through {
            let _absent = fs::remove_file(dead);
        } else {
            fs::write(dead, "").unwrap();
        }
        let before = canaries(site);
        let shares = [round % 90 + 1, round % 90 + 2].map(|share| format!("canary all={share}%"));
        let (loser, winner, pid) = race(site, &operators, shares, is_through);
        loser.expect(3);
        let holder = format!("(process {pid})");
        assert!(loser.stderr.contains("another bg is under way") && loser.stderr.contains(&holder), "{loser}{winner}");
        assert_eq!(winner.code, is_through.then_some(0), "{winner}");
        assert_eq!(canaries(site) - before, usize::from(is_through), "{loser}{winner}");
        tally.add("starts", 1);
        tally.add("through", u64::from(is_through));
        tally.add("refused", 1);
        tally.longest("refused_after_ms", loser.took);
    }
    tally.say(&format!("starts/{name}"), seed);
}

#[test]
fn of_two_that_start_at_the_same_instant_one_proceeds() {
    let mut site = small().bound(Duration::from_secs(60)).start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    site.bg(["deploy", "--release", "v2"]).unwrap().expect(0);
    hold_balancers(&site);
    let file = format!("file:{}/.bg/shop", site.dir().display());
    start_at_the_same_instant("file", &site, &file);
}

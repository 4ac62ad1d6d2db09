//! Two operators press Enter at the same instant, again and again, on each kind of journal: exactly one proceeds, the other
//! is told who it is.

use std::{env, fs, thread, time::Duration};

use bg_playground::{Etcd, Playground, Ran, Running, until};
use bluegreen::{
    edge::{
        host::SshSettings,
        journal::{read, store},
    },
    site::ssh_settings,
};
use bluegreen_core::{
    inventory::parse,
    rollout::{Entry, Event},
};

use super::{
    operator::Operator,
    tally::{Tally, seed},
};
use crate::desk::{SOON, small};

/// How often in a quick run.
const TIMES: usize = 8;
/// In a long run the one that proceeds is let through to its end so often; otherwise it meets a balancer that it does not
/// know, which ends it at once.
const THROUGH: usize = 50;

/// `$BG_STARTS`, or a few.
fn times() -> usize {
    env::var("BG_STARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(TIMES)
}

/// Both wait for the balancer until `hold` is gone, so whoever has the lock keeps it until the other has ended.
fn hold_balancers(site: &Playground) {
    let text = fs::read_to_string(site.ssh_config()).unwrap();
    let dir = site.dir().display();
    let wait = format!("while [ -e {dir}/hold ]; do sleep 0.01; done");
    let held = format!("Match originalhost lb1 exec \"{wait}; [ -e {dir}/dead ]\"\n  HostKeyAlias nobody\n");
    fs::write(site.ssh_config(), format!("{held}{text}")).unwrap();
}

/// How many canaries were begun, by the journal wherever it is.
fn canaries(site: &Playground) -> usize {
    let text = fs::read_to_string(site.inventory_file()).unwrap();
    let inventory = parse("shop", "shop.toml", &text).unwrap_or_else(|error| panic!("{error:?}"));
    let ssh = SshSettings { config: Some(site.ssh_config()), ..ssh_settings(&inventory, site.dir()) };
    let store = store(&inventory.journal, site.dir(), ssh);
    let reading = async { read(store.as_ref()).await.unwrap().entries };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let entries: Vec<Entry> = thread::scope(|scope| scope.spawn(|| runtime.block_on(reading)).join().unwrap());
    let is_canary =
        |event: &&Event| matches!(event, Event::CommandStarted { command, .. } if command.as_str() == "canary");
    entries.iter().flat_map(|entry| &entry.events).filter(is_canary).count()
}

/// The one that was refused, and the one that was not (and its process id), which goes on as soon as the other has ended.
fn race(site: &Playground, operators: &[Operator; 2], words: [String; 2]) -> (Ran, Ran, i32) {
    let hold = site.dir().join("hold");
    fs::write(&hold, "").unwrap();
    let mut both: Vec<Running> = operators.iter().zip(&words).map(|(by, words)| by.start(site, words)).collect();
    let loser = until(SOON, "the end of one of two", || both.iter_mut().position(Running::has_ended)).unwrap();
    let loser = both.remove(loser).wait(SOON).unwrap();
    let winner = both.remove(0);
    let pid = winner.pid();
    fs::remove_file(hold).unwrap();
    (loser, winner.wait(SOON).unwrap(), pid)
}

/// On the journal at `location`, as the inventory names it from any directory.
fn start_at_the_same_instant(name: &str, mut site: Playground, location: &str) {
    let (seed, times) = (seed(), times());
    let old = "journal = \"file:.bg/shop\"";
    site.edit_inventory(|text| text.replace(old, &format!("journal = \"{location}\""))).unwrap();
    site.setup("v1").unwrap().expect(0);
    site.bg(["deploy", "--release", "v1"]).unwrap().expect(0);
    hold_balancers(&site);
    let operators = [Operator::first(&site), Operator::second(&site)];
    let (mut tally, mut through) = (Tally::default(), 0);
    for round in 0..times {
        let is_through = round % (times / THROUGH).max(4) == 0;
        let dead = site.dir().join("dead");
        if is_through {
            let _absent = fs::remove_file(dead);
        } else {
            fs::write(dead, "").unwrap();
        }
        let shares = [round % 90 + 1, round % 90 + 2].map(|share| format!("canary all={share}%"));
        let (loser, winner, pid) = race(&site, &operators, shares);
        loser.expect(3);
        let holder = format!("(process {pid})");
        assert!(loser.stderr.contains("another bg is under way") && loser.stderr.contains(&holder), "{loser}{winner}");
        // Past the lock: done, or no balancer reached and nothing changed.
        winner.expect(if is_through { 0 } else { 1 });
        through += usize::from(is_through);
        tally.add("starts", 1);
        tally.add("through", u64::from(is_through));
        tally.add("refused", 1);
        tally.longest("refused_after_ms", loser.took);
    }
    assert_eq!(canaries(&site), through, "each canary in the journal is one that was let through");
    tally.say(&format!("starts/{name}"), seed);
}

fn site() -> Playground {
    small().bound(Duration::from_secs(60)).start().unwrap()
}

#[test]
fn of_two_that_start_at_the_same_instant_one_proceeds() {
    let site = site();
    let location = format!("file:{}/.bg/shop", site.dir().display());
    start_at_the_same_instant("file", site, &location);
}

#[test]
fn of_two_that_start_at_the_same_instant_one_proceeds_with_the_journal_on_a_host() {
    let site = site();
    let location = format!("ssh:web1:{}/var/journal", site.host("web1").dir.display());
    start_at_the_same_instant("ssh", site, &location);
}

#[test]
fn of_two_that_start_at_the_same_instant_one_proceeds_with_the_journal_in_etcd() {
    let etcd = Etcd::start(1).unwrap();
    start_at_the_same_instant("etcd", site(), &etcd.location("/bg/shop"));
}

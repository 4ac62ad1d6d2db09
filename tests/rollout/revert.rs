//! The dead man's switch: traffic that goes back by itself unless it is confirmed, with and without its operator.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    path::PathBuf,
};

use bg_playground::{Playground, until};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::{Signal, kill},
};
use serde_json::json;

use crate::desk::{SOON, begins, bg, events, hold_health, journal, start_until, status, two_balancers};

const LB: [&str; 2] = ["lb1", "lb2"];

/// Staged on v2, with two balancers.
fn staged() -> Playground {
    let mut site = two_balancers().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    bg(&site, "deploy --release v2", 0);
    site
}

fn revert_dir(site: &Playground, host: &str) -> PathBuf {
    site.balancer(host).bg_dir.join("live/.revert")
}

/// The order that stands on a balancer.
fn order(site: &Playground, host: &str) -> Option<PathBuf> {
    let files = fs::read_dir(revert_dir(site, host)).into_iter().flatten().flatten().map(|entry| entry.path());
    files.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().parse::<u64>().is_ok())
}

/// The generations that stand on a balancer.
fn generations(site: &Playground, host: &str) -> BTreeSet<OsString> {
    let all =
        fs::read_dir(site.balancer(host).bg_dir.join("live/gen")).unwrap().flatten().map(|entry| entry.file_name());
    all.filter(|name| !name.to_string_lossy().starts_with('.')).collect()
}

/// The balancer's time is up now: what it counts on its clock is rewritten, and its timer looks every two seconds.
fn expire(site: &Playground, host: &str) {
    let file = order(site, host).expect("it is armed");
    let text = fs::read_to_string(&file).unwrap();
    let mut words: Vec<&str> = text.trim().split(' ').collect();
    words[5] = "1";
    let new = file.with_file_name(".new-order");
    fs::write(&new, words.join(" ") + "\n").unwrap();
    fs::rename(new, file).unwrap();
}

/// Until nothing is armed there any more.
fn wait_reverted(site: &Playground, host: &str) {
    until(SOON, "the end of the order", || order(site, host).is_none().then_some(())).unwrap();
}

/// The processes that keep the time on a balancer.
fn timers(site: &Playground, host: &str) -> Vec<i32> {
    let dir = revert_dir(site, host).display().to_string();
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&format!("{dir}/run-"))
    })
    .collect()
}

/// The half that everybody gets, on each balancer.
fn halves(site: &Playground) -> [&'static str; 2] {
    let of = |host: &str| if site.get(host, "/", "desktop").unwrap().half() == "blue" { "blue" } else { "green" };
    LB.map(of)
}

fn states(site: &Playground) -> Vec<String> {
    let seen = status(site);
    let each = seen["revert"]["balancers"].as_array().unwrap_or_else(|| panic!("{seen:#}"));
    each.iter().map(|balancer| balancer["state"].as_str().unwrap().to_owned()).collect()
}

/// Nothing waits and nothing is left to wait for.
fn nothing_armed(site: &Playground) {
    for host in LB {
        wait_reverted(site, host);
        until(SOON, "the end of the timers", || timers(site, host).is_empty().then_some(())).unwrap();
        let left: Vec<_> = fs::read_dir(revert_dir(site, host)).into_iter().flatten().flatten().collect();
        assert!(left.iter().all(|entry| entry.file_name().to_str().unwrap().starts_with("reverted-")), "{left:?}");
    }
}

#[test]
fn a_flip_whose_operator_is_gone_goes_back_on_time_without_a_failed_request() {
    let site = staged();
    let load = site.load().rate(200).slow(0, 100).start().unwrap();
    let flip = site.start_bg(["flip", "--revert-after", "20s"]).unwrap();
    until(SOON, "the switch", || (halves(&site) == ["green", "green"]).then_some(())).unwrap();
    // Killed right after the commit, or just done.
    flip.signal(Signal::SIGKILL);
    let _ = flip.wait(SOON).unwrap();
    assert_eq!(states(&site), ["armed", "armed"]);
    let text = bg(&site, "status", 0).stdout;
    assert!(text.contains("goes back by itself at ") && text.contains("bg confirm"), "{text}");
    until(SOON, "the way back", || (halves(&site) == ["blue", "blue"]).then_some(())).unwrap();
    nothing_armed(&site);
    let seen = status(&site);
    assert_eq!((&seen["stage"], &seen["interrupted"]), (&json!("staged"), &json!(null)), "{seen:#}");
    assert_eq!(states(&site), ["reverted", "reverted"]);
    let ran = bg(&site, "confirm", 1);
    assert!(ran.stderr.contains("too late") && ran.stderr.contains("staged"), "{ran}");
    assert!(events(&journal(&site)).iter().any(|event| event["event"] == "reverted"));
    let seen = status(&site);
    assert_eq!((&seen["revert"], &seen["balancers"][1]["in_sync"]), (&json!(null), &json!(true)), "{seen:#}");
    bg(&site, "confirm", 3);
    bg(&site, "flip", 0);
    load.stop().expect_none_failed();
}

#[test]
fn what_is_confirmed_stays_and_what_is_overtaken_does_not_go_back() {
    let site = staged();
    let refused = bg(&site, "confirm", 3);
    assert!(refused.stderr.contains("nothing to confirm"), "{refused}");
    let ran = bg(&site, "canary all=10% --revert-after 1h", 0);
    for host in LB {
        assert!(ran.stderr.contains(&format!("`{host}` goes back by itself at ")), "{ran}");
    }
    assert!(ran.stdout.contains("unless it is confirmed") && ran.stderr.contains("a detached process"), "{ran}");
    // What a timer starts for a moment is not there again and again.
    let each = || LB.iter().flat_map(|host| timers(&site, host)).collect::<Vec<i32>>();
    let first = until(SOON, "one timer each", || Some(each()).filter(|pids| pids.len() == 2)).unwrap();
    // Overtaken by a later canary, armed again: only that one counts, and it leads to the first.
    bg(&site, "canary all=50% --revert-after 1h", 0);
    let gone = || LB.iter().flat_map(|host| timers(&site, host)).all(|pid| !first.contains(&pid));
    until(SOON, "the end of what was overtaken", || gone().then_some(())).unwrap();
    expire(&site, "lb2");
    wait_reverted(&site, "lb2");
    let seen = status(&site);
    assert_eq!(seen["traffic"]["segments"][1]["green_percent"], 10.0, "{seen:#}");
    assert_eq!(states(&site), ["armed", "reverted"]);
    // Any command takes the others there first, and is judged by what is then.
    let ran = bg(&site, "restore", 3);
    assert!(
        ran.stderr.contains("`canary` was not confirmed there in time")
            && ran.stderr.contains("while the site is canary"),
        "{ran}"
    );
    let seen = status(&site);
    assert_eq!(seen["balancers"][0]["in_sync"], true, "{seen:#}");
    nothing_armed(&site);

    bg(&site, "flip --revert-after 1h", 0);
    bg(&site, "flip --revert-after 1h", 3);
    // Held by hand, nothing begins; what keeps the traffic where it is goes through.
    let ran = bg(&site, "lock --why audit", 0);
    assert!(ran.stdout.contains("the traffic goes back by itself at ") && ran.stdout.contains("`bg confirm`"), "{ran}");
    bg(&site, "flip --back", 3);
    assert!(bg(&site, "confirm", 0).stdout.contains("confirmed: the traffic stays"));
    bg(&site, "unlock", 0);
    nothing_armed(&site);
    assert!(bg(&site, "confirm", 0).stdout.contains("confirmed already"));
    assert_eq!((halves(&site), &status(&site)["revert"]), (["green", "green"], &json!(null)));
    bg(&site, "restore", 0);
}

#[test]
fn a_balancer_that_confirm_does_not_reach_is_named_and_takes_the_others_back() {
    let mut site = staged();
    bg(&site, "flip --revert-after 1h", 0);
    site.stop_sshd("lb2").unwrap();
    let ran = bg(&site, "confirm", 5);
    for words in ["`lb2`", "goes back by itself at ", "`bg confirm` again", "`bg flip --back`"] {
        assert!(ran.stderr.contains(words), "{words}: {ran}");
    }
    assert!(!ran.stderr.contains("`lb1` is"), "{ran}");
    site.start_sshd("lb2").unwrap();
    let seen = status(&site);
    assert_eq!(seen["interrupted"]["command"], "confirm", "{seen:#}");
    assert_eq!(states(&site), ["confirmed", "armed"]);
    expire(&site, "lb2");
    wait_reverted(&site, "lb2");
    assert_eq!(halves(&site), ["green", "blue"]);
    let ran = bg(&site, "confirm", 1);
    assert!(ran.stderr.contains("too late") && ran.stderr.contains("`lb2`"), "{ran}");
    assert_eq!((halves(&site), &status(&site)["stage"]), (["blue", "blue"], &json!("staged")));

    // In time, it is finished.
    bg(&site, "flip --revert-after 1h", 0);
    site.stop_sshd("lb2").unwrap();
    bg(&site, "confirm", 5);
    site.start_sshd("lb2").unwrap();
    bg(&site, "resume", 0);
    nothing_armed(&site);
    assert_eq!(halves(&site), ["green", "green"]);
}

#[test]
fn one_that_cannot_follow_is_named_and_follows_later() {
    let mut site = staged();
    bg(&site, "flip --revert-after 1h", 0);
    expire(&site, "lb1");
    wait_reverted(&site, "lb1");
    site.stop_sshd("lb2").unwrap();
    let ran = bg(&site, "restore", 5);
    assert!(ran.stderr.contains("`flip` was not confirmed there in time") && ran.stderr.contains("`lb2`"), "{ran}");
    let seen = status(&site);
    assert_eq!((&seen["stage"], &seen["interrupted"]["command"]), (&json!("staged"), &json!("revert")), "{seen:#}");
    site.start_sshd("lb2").unwrap();
    bg(&site, "resume", 0);
    assert_eq!(halves(&site), ["blue", "blue"]);
    nothing_armed(&site);
    let seen = status(&site);
    assert_eq!((&seen["interrupted"], &seen["balancers"][1]["in_sync"]), (&json!(null), &json!(true)), "{seen:#}");
}

#[test]
fn a_balancer_that_lost_its_timer_says_so_and_is_taken_along() {
    let site = staged();
    bg(&site, "flip --revert-after 1h", 0);
    // What a reboot does where nothing survives it.
    for pid in timers(&site, "lb2") {
        // What it had started for a moment may be gone already.
        let _gone = kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
    }
    until(SOON, "the end of the timer", || (states(&site) == ["armed", "timer gone"]).then_some(())).unwrap();
    expire(&site, "lb1");
    expire(&site, "lb2");
    wait_reverted(&site, "lb1");
    assert_eq!(states(&site), ["reverted", "overdue"]);
    let text = bg(&site, "status", 0).stdout;
    assert!(text.contains("lb2: overdue") && text.contains("`bg sync` does only that"), "{text}");
    assert!(!text.contains("`bg flip --back`"), "one hint for both: {text}");
    assert_eq!(halves(&site), ["blue", "green"]);
    let ran = bg(&site, "sync", 0);
    assert!(ran.stdout.contains("`flip` was not confirmed there in time"), "{ran}");
    assert_eq!(halves(&site), ["blue", "blue"]);
    nothing_armed(&site);
}

#[test]
fn a_shift_that_is_not_made_leaves_nothing_armed() {
    let mut site = staged();
    let dry = bg(&site, "flip --revert-after 10m --dry-run", 0);
    assert!(dry.stdout.contains("2. arm the way back: in 10m, unless it is confirmed"), "{dry}");
    // All or nothing: one that cannot be armed.
    let blocked = revert_dir(&site, "lb2");
    fs::write(&blocked, "in the way").unwrap();
    let ran = bg(&site, "flip --revert-after 1h", 1);
    assert!(ran.stderr.contains("`lb2`") && ran.stderr.contains("No balancer was switched"), "{ran}");
    assert_eq!((halves(&site), &status(&site)["stage"]), (["blue", "blue"], &json!("staged")));
    fs::remove_file(&blocked).unwrap();
    nothing_armed(&site);
    // Committed on one, and put back: nginx of the other does not confirm it.
    let (hold, known, before) = (hold_health(&site), journal(&site).len(), generations(&site, "lb1"));
    let mut flip = start_until(&site, "flip --revert-after 1h", 0);
    until(SOON, "the preparing", || (generations(&site, "lb1") != before).then_some(())).unwrap();
    // It is prepared there; nothing is armed or committed there before lb2's nginx is dead.
    let lock = File::create(site.balancer("lb1").bg_dir.join("live/.lock")).unwrap();
    let held = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    fs::remove_file(hold).unwrap();
    assert!(begins(&site, &mut flip, known, 1), "it arms");
    site.kill_nginx("lb2").unwrap();
    drop(held);
    let ran = flip.wait(SOON).unwrap();
    assert!(!ran.ok(), "{ran}");
    site.start_nginx("lb2").unwrap();
    if ran.code == Some(5) {
        bg(&site, "resume", 0);
    }
    nothing_armed(&site);
    assert_eq!(status(&site)["stage"], "staged");
    for words in ["flip --back --revert-after 10m", "canary off --revert-after 10m", "deploy --revert-after 10m"] {
        let ran = bg(&site, words, 2);
        assert!(ran.stderr.contains("--revert-after"), "{ran}");
    }
    let ran = bg(&site, "flip --revert-after 1s", 2);
    assert!(ran.stderr.contains("from 5s to 24h"), "{ran}");
}

#[test]
fn a_canary_of_a_deploy_is_armed_too_and_resumed_with_its_arm() {
    let mut site = two_balancers().start().unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    let words = "deploy --release v2 --canary all=100% --revert-after 1h";
    let steps = bg(&site, &format!("{words} --dry-run"), 0).stdout;
    let number = |step: &str| {
        let line = steps.lines().rev().find(|line| line.contains(step)).unwrap_or_else(|| panic!("{steps}"));
        line.trim().split('.').next().unwrap().parse::<usize>().unwrap() - 1
    };
    for step in ["arm the way back", "switch: "] {
        crate::desk::kill_at(&site, words, number(step));
        bg(&site, "resume", 0);
        assert_eq!((states(&site), halves(&site)), (vec!["armed".to_owned(); 2], ["green", "green"]), "{step}");
        // Those of the first try find that they are overtaken when they look the next time.
        let own = || (LB.map(|host| timers(&site, host).len()) == [1, 1]).then_some(());
        until(SOON, "the end of the first try's timers", own).unwrap();
        bg(&site, "canary off", 0);
        nothing_armed(&site);
    }
}

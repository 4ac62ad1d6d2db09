//! Slow lines that lose connections, and clocks that are wrong.

use crate::{
    desk::{bg, status},
    hosts::{fleet, in_sync, stage},
};

const ROLLOUT: [&str; 5] = ["deploy --release v2 --canary mobile=10%", "flip", "flip --back", "flip", "restore"];

/// Plays a part of a rollout over a line of 200 ms (there and back) that loses one connection in twenty before the login,
/// and one packet in twenty besides.
fn over_a_slow_line(commands: &[&str]) {
    let Some(site) = fleet("a slow line") else { return };
    let load = site.load_on(&["lb1", "lb2"], 200).unwrap();
    site.slow_ssh(200, 20).unwrap();
    site.lose_packets(5).unwrap();
    for words in commands {
        let ran = bg(&site, words, 0);
        println!("over the slow line: {:.1} s\n{ran}", ran.took.as_secs_f64());
    }
    println!("{} connections", site.slow_connections());
    assert!(site.slow_connections() > 3, "at least one was lost");
    in_sync(&site);
    load.stop().expect_none_failed();
}

#[test]
fn a_deploy_and_a_flip_go_over_a_line_of_200_ms_that_loses_one_connection_in_twenty() {
    over_a_slow_line(&ROLLOUT[..2]);
}

#[test]
#[ignore = "for a soak: it takes two minutes"]
fn a_rollout_goes_over_a_line_of_200_ms_that_loses_one_connection_in_twenty() {
    over_a_slow_line(&ROLLOUT);
}

#[test]
fn a_rollout_goes_through_whatever_the_clocks_say() {
    let Some(mut site) = fleet("wrong clocks") else { return };
    let load = site.load_on(&["lb1"], 200).unwrap();
    site.set_clock("lb2", "+1h").unwrap();
    site.set_clock("web2", "-1h").unwrap();
    let late = site.ssh("lb2", "date +%s").unwrap().stdout.trim().parse::<i64>().unwrap();
    let early = site.ssh("web2", "date +%s").unwrap().stdout.trim().parse::<i64>().unwrap();
    assert!((7_100..7_300).contains(&(late - early)), "the clocks are two hours apart: {late}, {early}");
    for (words, offset) in ROLLOUT.iter().zip(["+1h", "-1h", "+1h", "-1h", "+1h"]) {
        let ran = site.bg_with_clock(offset, words.split(' ')).unwrap();
        println!("{offset}: {ran}");
        ran.expect(0);
    }
    // What libfaketime leaves of each process that is killed goes with its host.
    let shared = site.ssh("lb2", "ls /dev/shm").unwrap().stdout;
    let is_all_faked = shared.lines().all(|name| name.starts_with("faketime_") || name.starts_with("sem.faketime_"));
    assert!(!shared.is_empty() && (is_all_faked || site.dir().starts_with("/dev/shm")), "{shared}");
    assert_eq!(stage(&site), ("balanced".to_owned(), false));
    let seen = status(&site);
    assert_eq!(seen["releases"]["blue"], seen["releases"]["green"]);
    in_sync(&site);
    load.stop().expect_none_failed();
}

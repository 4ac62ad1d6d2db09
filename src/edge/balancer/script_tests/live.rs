//! look, dirs, prepare and commit.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::time::{Duration, Instant};

use nix::{sys::signal::Signal, unistd::Pid};

use super::*;

#[test]
fn directories_are_made_once_and_a_second_run_changes_nothing() {
    let site = Site::new();
    run(script::DIRS, &[site.path(), "no"], b"").done();
    assert!(site.live("gen").is_dir() && site.dir.parent().unwrap().join(".lock").is_file());
    assert_eq!(std::fs::metadata(site.live("gen")).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn a_parent_that_cannot_be_made_is_said() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("bg"), "a file").unwrap();
    let ran = run(script::DIRS, &[temp.path().join("bg/shop").to_str().unwrap(), "no"], b"");
    assert!(ran.code != Some(0) && !ran.stderr.is_empty());
}

#[test]
fn forward_and_back_are_prepared_together_and_a_second_run_keeps_them() {
    let site = Site::new();
    let answer = site.prepare(&[(1, None), (2, Some(10))]).done();
    assert_eq!(answer.all("generation").collect::<Vec<_>>(), ["1 made", "2 made"]);
    assert_eq!(site.current(), "none");
    let answer = site.prepare(&[(1, None), (2, Some(10))]).done();
    assert_eq!(answer.all("generation").collect::<Vec<_>>(), ["1 kept", "2 kept"]);
    assert!(names(&site.live("gen")).iter().all(|n| !n.starts_with('.')), "nothing is left behind");
}

#[test]
fn a_non_current_generation_of_ours_is_replaced_and_the_current_one_never() {
    let site = Site::new();
    site.prepare(&[(1, None), (2, Some(1))]).done();
    site.commit(1, None).done();
    assert_eq!(site.prepare(&[(2, Some(5))]).done().get("generation"), Some("2 replaced"));
    assert_eq!(site.prepare(&[(1, Some(5))]).refused(), Some("current_differs 1"));
    assert_eq!(site.prepare(&[(1, None)]).done().get("generation"), Some("1 kept"));
    site.commit(2, Some(5)).done();
    assert_eq!(site.prepare(&[(1, None)]).refused(), Some("fenced 2"));
}

#[test]
fn another_journal_is_refused_everywhere() {
    let site = Site::new();
    site.prepare_as("j-other", &[(1, None), (2, None)]).done();
    assert_eq!(site.prepare(&[(2, None)]).refused(), Some("foreign j-other gen/2"));
    site.commit_as("j-other", 1, None).done();
    assert_eq!(site.prepare(&[(7, None)]).refused(), Some("foreign j-other current"));
    assert_eq!(site.commit(2, None).refused(), Some("foreign j-other current"));
    assert_eq!(site.gens(), [1, 2]);
}

#[test]
fn a_generation_that_names_no_journal_is_not_overwritten() {
    let site = Site::new();
    std::fs::create_dir(site.live("gen/3")).unwrap();
    assert_eq!(site.prepare(&[(3, None)]).refused(), Some("foreign - gen/3"));
    assert_eq!(site.commit(3, None).refused(), Some("foreign - gen/3"));
}

#[test]
fn commit_goes_to_a_higher_number_only_and_says_what_was_there() {
    let site = Site::new();
    site.prepare(&[(1, None), (2, Some(1)), (3, Some(2))]).done();
    assert_eq!(site.commit(2, Some(1)).done().get("was"), Some("none"));
    assert_eq!(site.commit(2, Some(1)).done().get("was"), Some("2"));
    assert_eq!(site.current(), "gen/2");
    assert_eq!(site.commit(1, None).refused(), Some("fenced 2"));
    assert_eq!(site.commit(3, Some(2)).done().get("was"), Some("2"));
    // The delayed step of a dead command arrives after it was put back.
    assert_eq!(site.commit(2, Some(1)).refused(), Some("fenced 3"));
    assert_eq!(site.current(), "gen/3");
}

#[test]
fn commit_refuses_what_is_missing_or_not_what_was_prepared() {
    let site = Site::new();
    assert_eq!(site.commit(1, None).refused(), Some("missing 1"));
    site.prepare(&[(1, None)]).done();
    std::fs::write(site.live("gen/1/extra"), "").unwrap();
    assert!(site.commit(1, None).refused().unwrap().starts_with("differs 1 "));
    std::fs::remove_file(site.live("gen/1/extra")).unwrap();
    chmod(&site.live("gen/1"), 0o700);
    assert_eq!(site.commit(1, None).refused(), Some("differs 1 mode700"));
    chmod(&site.live("gen/1"), 0o755);
    site.commit(1, None).done();
}

#[test]
fn a_current_that_is_no_link_of_ours_is_refused() {
    let site = Site::new();
    site.prepare(&[(1, None)]).done();
    std::os::unix::fs::symlink("/etc", site.live("current")).unwrap();
    assert_eq!(site.commit(1, None).refused(), Some("unknown_current /etc"));
    std::fs::remove_file(site.live("current")).unwrap();
    std::fs::create_dir(site.live("current")).unwrap();
    assert_eq!(site.prepare(&[(1, None)]).refused(), Some("unknown_current"));
}

#[test]
fn a_purged_tree_can_be_followed_by_a_higher_generation() {
    let site = Site::new();
    site.prepare(&[(4, None)]).done();
    site.commit(4, None).done();
    std::fs::remove_dir_all(site.live("gen/4")).unwrap();
    assert_eq!(site.prepare(&[(3, None)]).refused(), Some("fenced 4"));
    site.prepare(&[(5, None), (6, None)]).done();
    assert_eq!(site.commit(5, None).done().get("was"), Some("4"));
}

#[test]
fn concurrent_commits_end_on_the_highest() {
    let site = Site::new();
    let trees: Vec<(u64, Option<u32>)> = (1..=8).map(|n| (n, Some(n as u32))).collect();
    site.prepare(&trees).done();
    let children: Vec<_> = trees
        .iter()
        .map(|(n, green)| {
            let args = site.commit_args(OURS, *n, *green);
            command(script::COMMIT, &words(&args)).spawn().unwrap()
        })
        .collect();
    let mut won = Vec::new();
    for child in children {
        let answer = Answer::read(&child.wait_with_output().unwrap().stdout);
        match answer.get("refused") {
            Some(kind) => assert!(kind.starts_with("fenced "), "{kind}"),
            None => won.push(answer.get("was").unwrap().to_owned()),
        }
    }
    assert_eq!(site.current(), "gen/8");
    won.sort();
    won.dedup();
    assert!(!won.is_empty() && !won.contains(&"8".to_owned()));
}

#[test]
fn a_lock_that_is_held_is_waited_for_with_a_bound() {
    let site = Site::new();
    site.prepare(&[(1, None)]).done();
    let file = std::fs::File::open(site.live(".lock")).unwrap();
    file.lock().unwrap();
    let mut args = site.commit_args(OURS, 1, None);
    args[4] = "0".into();
    let ran = run(script::COMMIT, &words(&args), b"");
    assert!(ran.refused().unwrap().starts_with("locked "), "{:?}", ran.refused());
    assert_eq!(site.current(), "none");
}

#[test]
fn a_torn_upload_makes_nothing() {
    let site = Site::new();
    let (args, text) = site.preparing(OURS, &[(1, Some(50))]);
    for cut in [0, 1, 77, 100, text.len() / 2] {
        let ran = run(script::PREPARE, &words(&args), &text[..cut]);
        assert_ne!(ran.code, Some(0), "{cut}: {:?}", ran.answer);
        assert_eq!(names(&site.live("gen")), Vec::<String>::new());
    }
    run(script::PREPARE, &words(&args), &text).done();
}

#[test]
fn a_kill_in_the_middle_of_preparing_leaves_a_state_that_the_next_run_finishes() {
    let site = Site::new();
    site.prepare(&[(1, None)]).done();
    site.commit(1, None).done();
    // It stops where it has unpacked all, in a stand-in for sort.
    let (args, text) = site.preparing(OURS, &[(2, Some(50))]);
    let mut command = command(script::PREPARE, &words(&args));
    site.stand_in(&mut command, "sort", "#!/bin/sh\nexec sleep 60\n");
    let mut child = command.process_group(0).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let unpacked = || {
        let half_made = site.half_made();
        half_made.iter().any(|name| site.live("gen").join(name).join("2/green/all/49").is_symlink())
    };
    let bound = Instant::now() + Duration::from_secs(60);
    while !unpacked() {
        assert!(Instant::now() < bound, "the script did not begin");
        std::thread::yield_now();
    }
    signal(&child, Signal::SIGKILL);
    child.wait().unwrap();
    assert_eq!(site.current(), "gen/1");
    assert_eq!(site.gens(), [1]);
    site.prepare(&[(2, Some(50))]).done();
    assert_eq!(site.half_made(), Vec::<String>::new(), "the next run removes what it left");
    site.commit(2, Some(50)).done();
}

#[test]
fn a_tree_that_arrives_with_other_modes_gets_its_own() {
    let site = Site::new();
    // As a default ACL of the directory would.
    site.prepare_two_with("tar", "#!/bin/sh\ncommand -p tar \"$@\"\nfor dir; do :; done\nchmod -R go= \"$dir\"/*\n")
        .done();
    assert_eq!(site.gens(), [1, 2]);
    site.commit(1, Some(2)).done();
    site.commit(2, None).done();
}

#[test]
fn a_tree_that_arrives_without_its_owner_is_refused() {
    let site = Site::new();
    let ran = site
        .prepare_two_with("tar", "#!/bin/sh\ncommand -p tar \"$@\"\nfor dir; do :; done\nrm \"$dir\"/2/traffic.json\n");
    assert!(
        ran.code == Some(1) && ran.stderr.contains("the tree 2 arrived without its traffic.json"),
        "{}",
        ran.stderr
    );
    assert_eq!((site.gens(), site.half_made()), (vec![], vec![]));
}

#[test]
fn what_arrives_as_it_was_sent_needs_one_look() {
    let site = Site::new();
    site.prepare_two_with("chmod", "#!/bin/sh\nexit 9\n").done();
    assert_eq!(site.gens(), [1, 2]);
}

/// The script and all that it started.
fn signal(child: &std::process::Child, signal: Signal) {
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::killpg(group, signal).unwrap();
}

#[test]
fn ended_at_any_moment_preparing_leaves_nothing_half_made() {
    let site = Site::new();
    let (args, text) = site.preparing(OURS, &[(1, Some(50))]);
    let mut ended_early = 0;
    for moment in 0..60 {
        let mut child = command(script::PREPARE, &words(&args)).process_group(0).spawn().unwrap();
        // Its pipe is wide enough for all of it.
        child.stdin.take().unwrap().write_all(&text).unwrap();
        std::thread::sleep(Duration::from_micros(moment * 700));
        signal(&child, Signal::SIGTERM);
        ended_early += u32::from(!child.wait().unwrap().success());
        assert_eq!(site.half_made(), Vec::<String>::new(), "after {moment} × 0.7 ms");
    }
    assert!(ended_early > 5, "only {ended_early} were ended before they were done");
}

#[test]
fn old_generations_go_but_the_newest_six_the_current_and_the_new_stay() {
    let site = Site::new();
    site.prepare(&[(1, None)]).done();
    site.commit(1, None).done();
    for n in 2..=12 {
        site.prepare(&[(n, None)]).done();
    }
    assert_eq!(site.gens(), [1, 6, 7, 8, 9, 10, 11, 12]);
}

#[test]
fn look_tells_absence_from_presence_and_sees_every_drift() {
    let temp = tempfile::tempdir().unwrap();
    let nothing = run(script::LOOK, &[temp.path().join("nope").to_str().unwrap()], b"").done();
    assert_eq!((nothing.get("dir"), nothing.get("http")), (Some("absent"), Some("absent")));
    let site = Site::new();
    site.prepare(&[(1, Some(10)), (2, None)]).done();
    site.commit(1, Some(10)).done();
    let tree_hash = |site: &Site| site.look().get("tree").unwrap().to_owned();
    let whole = tree_hash(&site);
    assert!(whole.starts_with("present ") && whole.len() == 72, "{whole}");
    assert_eq!(site.look().get("current").and_then(|c| c.split_once(' ')).unwrap().0, "link");
    let slot = site.live("gen/1/full/00");
    let link = site.live("gen/1/green/all/03");
    type Hand<'a> = &'a dyn Fn();
    let undo: [(&str, Hand, Hand); 6] = [
        ("touch", &|| std::fs::write(site.live("gen/1/both"), "").unwrap(), &|| {
            std::fs::remove_file(site.live("gen/1/both")).unwrap()
        }),
        ("chmod file", &|| chmod(&slot, 0), &|| chmod(&slot, 0o644)),
        ("chmod tree", &|| chmod(&site.live("gen/1"), 0o700), &|| chmod(&site.live("gen/1"), 0o755)),
        ("chmod inside", &|| chmod(&site.live("gen/1/green"), 0), &|| chmod(&site.live("gen/1/green"), 0o755)),
        ("missing link", &|| std::fs::remove_file(&link).unwrap(), &|| {
            std::os::unix::fs::symlink("../../full", &link).unwrap()
        }),
        ("broken links", &|| std::fs::remove_file(&slot).unwrap(), &|| std::fs::write(&slot, "").unwrap()),
    ];
    for (what, make, mend) in undo {
        make();
        assert_ne!(tree_hash(&site), whole, "{what}");
        mend();
        chmod(&slot, 0o644);
        assert_eq!(tree_hash(&site), whole, "{what} mended");
    }
    std::fs::remove_dir_all(site.live("gen/1")).unwrap();
    let look = site.look();
    assert_eq!((look.get("tree"), look.get("gens")), (None, Some("2")));
}

#[test]
fn the_journal_of_a_tree_is_read_however_its_file_is_written() {
    const ASK: Script = Script {
        name: "journal_of",
        text: concat!(include_str!("../common.sh"), "journal_of \"$1\"\nprintf '%s\\nend\\n' \"$owner\""),
    };
    let temp = tempfile::tempdir().unwrap();
    let cases = [
        (r#"{"site":"shop","journal":"j-1","generation":2}"#, "j-1"),
        ("{\n  \"site\": \"journal\",\n  \"journal\" :\t\"j-2\"\n}", "j-2"),
        (r#"{"traffic":{"segment":"journal","x":["journal", "journal"]},"journal":"j-3"}"#, "j-3"),
        (r#"{"journal":7}"#, ""),
        (r#"{"site":"journal"}"#, ""),
        ("", ""),
        ("{\"journal", ""),
        ("{\n  \"site\": \"shop\",\n  \"journal\": \"j-4\",\n  \"generation\": 2\n}\n", "j-4"),
        ("{\n  \"site\": \"shop\",\n  \"journal\": \"j-5\"\n}", "j-5"),
        ("{\n  \"site\": \"shop\",\n  \"journal\": \"\",\n", ""),
    ];
    for (text, journal) in cases {
        std::fs::write(temp.path().join("traffic.json"), text).unwrap();
        let output = command(ASK, &[temp.path().to_str().unwrap()]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{journal}\nend\n"), "{text}");
    }
    let output = command(ASK, &["/nowhere"]).output().unwrap();
    assert_eq!(output.stdout, b"\nend\n");
}

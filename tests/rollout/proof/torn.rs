//! Damage to a journal: a torn end is dropped with a warning, anything else is refused with its line, and no whole record
//! is ever lost or guessed at.

use std::{fs, path::Path, process::Command};

use bg_playground::{Playground, Ran, Running};
use bluegreen::edge::journal::{FileStore, Reading, read};
use bluegreen_core::rollout::{FORMAT, decode, encode};
use serde_json::Value;

use super::{
    site::Site,
    tally::{Tally, seed},
};
use crate::desk::{SOON, journal, journal_file, json, status};

/// What is changed for all these; each is refused or goes on as the journal says.
const CHANGES: [&str; 7] = ["deploy --release v2", "canary all=1%", "flip", "restore", "abort", "resume", "sync"];
/// Every so many bytes one is flipped; a prime, so that all parts of records are met.
const FLIP_EVERY: usize = 17;

/// What reading `bytes` as a journal gives, or the refusal in words.
fn reading(dir: &Path, bytes: &[u8]) -> Result<Reading, String> {
    fs::write(dir.join("journal.jsonl"), bytes).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(read(&FileStore::new(dir.to_owned()))).map_err(|error| error.to_string())
}

/// The journal of a site that went through a setup, a deploy and a flip.
fn a_journal(site: &Site) -> Vec<u8> {
    for words in ["deploy --release v2 --canary mobile=10%", "flip"] {
        site.first.expect(&site.pg, words, 0);
    }
    journal(&site.pg).into_bytes()
}

fn last_record(bytes: &[u8]) -> usize {
    bytes[..bytes.len() - 1].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1)
}

fn every_cut_is_dropped_with_a_warning(dir: &Path, whole: &[u8]) -> u64 {
    let begin = last_record(whole);
    let records = whole.iter().filter(|&&byte| byte == b'\n').count();
    for cut in begin..whole.len() {
        let read = reading(dir, &whole[..cut]).unwrap();
        let is_whole = cut + 1 == whole.len();
        assert_eq!(read.entries.len(), records - usize::from(!is_whole), "cut at {cut}");
        let is_torn = cut > begin && !is_whole;
        assert_eq!(read.warning.is_some(), is_torn, "cut at {cut}: {:?}", read.warning);
        assert!(read.warning.is_none_or(|said| said.contains(&format!("(line {records})"))));
    }
    (whole.len() - begin) as u64
}

fn every_flipped_byte_is_refused_with_its_line(dir: &Path, whole: &[u8], seed: u64) -> u64 {
    let first = usize::try_from(seed).unwrap() % FLIP_EVERY;
    let last = last_record(whole);
    let places = (first..whole.len()).step_by(FLIP_EVERY).chain(last..whole.len());
    let mut count = 0;
    for place in places {
        let mut damaged = whole.to_vec();
        damaged[place] ^= 1 << (place % 8);
        let line = whole[..place].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let said = reading(dir, &damaged).map(|read| read.warning).unwrap_err();
        assert!(said.contains(&format!("is damaged at line {line}:")), "byte {place} (BG_SEED={seed}): {said}");
        count += 1;
    }
    count
}

#[test]
fn a_journal_that_is_cut_or_flipped_anywhere_loses_nothing_and_is_never_guessed_at() {
    let (seed, mut tally) = (seed(), Tally::default());
    let site = Site::serving(1);
    let whole = a_journal(&site);
    let scratch = tempfile::tempdir().unwrap();
    tally.add("cuts", every_cut_is_dropped_with_a_warning(scratch.path(), &whole));
    tally.add("flipped_bytes", every_flipped_byte_is_refused_with_its_line(scratch.path(), &whole, seed));

    // The same through the program: what is torn off is the end of a flip.
    for from_the_end in [2, 2 + usize::try_from(seed).unwrap() % 150, 200] {
        let whole = journal(&site.pg).into_bytes();
        let begin = last_record(&whole);
        let cut = (whole.len() - from_the_end).max(begin + 1);
        fs::write(journal_file(&site.pg), &whole[..cut]).unwrap();
        let seen = status(&site.pg);
        assert_eq!((&seen["stage"], &seen["interrupted"]["command"]), (&"flipped".into(), &"flip".into()), "{seen:#}");
        assert!(seen["journal"].as_str().unwrap().contains("torn by a crash"), "{seen:#}");
        let ran = site.first.expect(&site.pg, "resume", 0);
        assert!(ran.stderr.contains("torn by a crash"), "{ran}");
        assert!(journal(&site.pg).as_bytes().starts_with(&whole[..begin]), "every whole record is there");
        tally.add("torn_and_resumed", 1);
    }
    // A last record whose newline alone is missing is whole.
    let whole = journal(&site.pg).into_bytes();
    fs::write(journal_file(&site.pg), &whole[..whole.len() - 1]).unwrap();
    assert_eq!(status(&site.pg)["interrupted"], Value::Null);
    site.first.expect(&site.pg, "flip", 0);
    site.first.expect(&site.pg, "flip --back", 0);
    assert!(journal(&site.pg).as_bytes().starts_with(&whole));
    tally.add("requests", site.none_failed());
    tally.add("failed", 0);
    tally.say("torn/cut and flipped", seed);
}

/// Every command that changes something ends so, says this, and leaves the journal as it is.
#[track_caller]
fn all_refused(site: &Site, code: i32, said: &[&str]) {
    let before = fs::read(journal_file(&site.pg)).unwrap();
    for words in CHANGES.iter().chain(&["setup --release v1"]) {
        let ran = site.first.expect(&site.pg, words, code);
        assert!(said.iter().all(|said| ran.stderr.contains(said)), "{said:?}: {ran}");
        assert_eq!(fs::read(journal_file(&site.pg)).unwrap(), before, "{ran}");
    }
}

#[test]
fn an_empty_journal_and_one_from_the_future_are_refused() {
    let site = Site::serving(1);
    let whole = journal(&site.pg);
    let id = site.state().journal.unwrap();

    fs::write(journal_file(&site.pg), "").unwrap();
    all_refused(&site, 3, &[&id]);
    let seen = json(&site.pg, "status", 1);
    assert_eq!((&seen["stage"], &seen["pools"]["web"]["blue"][0]["healthy"]), (&Value::Null, &true.into()), "{seen:#}");

    let mut next = decode(whole.lines().next_back().unwrap()).unwrap();
    (next.v, next.index) = (FORMAT + 1, next.index + 1);
    let lines = whole.lines().count();
    fs::write(journal_file(&site.pg), format!("{whole}{}\n", encode(&next))).unwrap();
    all_refused(&site, 1, &[&format!("line {}", lines + 1), "newer bg"]);
    // Without its newline it is not a torn record of ours either.
    fs::write(journal_file(&site.pg), format!("{whole}{}", encode(&next))).unwrap();
    all_refused(&site, 1, &["newer bg"]);

    fs::write(journal_file(&site.pg), &whole).unwrap();
    site.first.expect(&site.pg, "deploy --release v2", 0);
    site.none_failed();
}

/// `bg WORDS` that may make no file longer than so many bytes; told so, or killed by the system (`is_told`: false).
fn limited(site: &Playground, words: &str, bytes: usize, is_told: bool) -> Ran {
    let bg = site.bg_command(words.split_whitespace()).unwrap();
    let mut command = Command::new("sh");
    let trap = if is_told { "trap '' XFSZ; " } else { "" };
    command.arg("-c").arg(format!("{trap}exec prlimit --fsize={bytes} \"$@\"")).arg("sh");
    command.arg(bg.get_program()).args(bg.get_args()).env_clear();
    command.envs(bg.get_envs().filter_map(|(key, value)| Some((key, value?)))).current_dir(site.dir());
    Running::start(command).unwrap().wait(SOON).unwrap()
}

/// With the disk still full, no way back can begin: the flip stays interrupted, and is named with its ways on.
#[track_caller]
fn still_interrupted(site: &Site) {
    let before = journal(&site.pg);
    let ran = site.first.expect(&site.pg, "sync", 3);
    assert!(ran.stderr.contains("`flip` was interrupted") && ran.stderr.contains("Nothing was touched"), "{ran}");
    for words in ["flip --back", "abort", "resume"] {
        let ran = limited(&site.pg, words, before.len() + 40, true);
        ran.expect(5);
        let said = ["could not be appended to", "make room", "`bg resume`", "`bg abort`"];
        assert!(said.iter().all(|said| ran.stderr.contains(said)), "{ran}");
        let named = ["The site is staged: ", "`flip` is interrupted still at the step `"];
        assert!(words == "resume" || named.iter().all(|said| ran.stderr.contains(said)), "{ran}");
        assert_eq!(journal(&site.pg), before, "{ran}");
    }
}

#[test]
fn a_disk_that_is_full_at_any_append_leaves_every_record_and_a_way_on() {
    let (seed, mut tally) = (seed(), Tally::default());
    let mut site = Site::serving(1);
    site.reach(bluegreen_core::rollout::Stage::Staged);
    let known = site.entries().len();
    site.first.expect(&site.pg, "flip", 0);
    let sizes: Vec<usize> = journal(&site.pg).lines().skip(known).map(|line| line.len() + 1).collect();
    assert!(sizes.len() >= 5, "{sizes:?}");
    for append in 0..sizes.len() {
        for is_told in [true, false] {
            site.first.expect(&site.pg, "flip --back", 0);
            let before = journal(&site.pg);
            // The record at which it is full gets some of its bytes onto the disk.
            // Records differ by some digits from one run to the next: more than that, and less than a whole one.
            let some = 40 + (usize::try_from(seed).unwrap() + append) % 40;
            let room = sizes[..append].iter().sum::<usize>() + some;
            let ran = limited(&site.pg, "flip", before.len() + room, is_told);
            let now = journal(&site.pg);
            assert!(now.starts_with(&before), "{ran}");
            assert_eq!(now[before.len()..].matches('\n').count(), append, "{ran}");
            assert_eq!(now.ends_with('\n'), is_told, "a part of a record stays only when it was killed: {ran}");
            if is_told {
                ran.expect(if append == 0 { 1 } else { 5 });
                assert!(ran.stderr.contains("could not be appended to") && ran.stderr.contains("make room"), "{ran}");
            } else {
                assert_eq!(ran.code, None, "{ran}");
            }
            if append == 2 && is_told {
                still_interrupted(&site);
            }
            let words = if append == 0 { "flip" } else { "resume" };
            site.first.expect(&site.pg, words, 0);
            let seen = status(&site.pg);
            assert_eq!((&seen["stage"], &seen["interrupted"]), (&"flipped".into(), &Value::Null), "{seen:#}");
            tally.add("full_disks", 1);
        }
    }
    tally.add("requests", site.none_failed());
    tally.add("failed", 0);
    tally.say("torn/full disk", seed);
}

#[test]
fn a_disk_without_a_byte_left_refuses_a_command_before_anything() {
    let mut site = Site::bare(1);
    if site.pg.skipped_unless_root("a_disk_without_a_byte_left_refuses_a_command_before_anything") {
        return;
    }
    let at = site.pg.dir().join(".bg");
    fs::create_dir_all(&at).unwrap();
    // Unmounted by the playground's reaper.
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "playground"]).arg(&at).output().unwrap();
    assert!(mount.status.success(), "{mount:?}");
    site.first.expect(&site.pg, "setup --release v1", 0);
    site.pg.wire().unwrap();
    site.first.expect(&site.pg, "deploy --release v2", 0);
    let whole = journal(&site.pg);
    let filler = at.join("filler");
    let is_full = fs::write(&filler, vec![b'x'; 256 * 1024]).is_err();
    assert!(is_full, "a disk of 256 KiB has room for a file as large");
    let ran = site.first.bg(&site.pg, "flip");
    assert!(matches!(ran.code, Some(1 | 3)) && ran.stderr.contains("No space left on device"), "{ran}");
    let ran = site.first.expect(&site.pg, "lock --why a.word", 1);
    let is_clear = ran.stderr.contains("hold.json` could not be written: No space left on device");
    assert!(is_clear && !ran.stderr.contains(".tmp"), "{ran}");
    let half_made = [".bg/shop/queue/.new", ".bg/shop/.hold"].map(|path| site.pg.dir().join(path).exists());
    assert_eq!(half_made, [false; 2]);
    assert_eq!(journal(&site.pg), whole);
    assert_eq!(status(&site.pg)["stage"], "staged");
    fs::remove_file(filler).unwrap();
    site.first.expect(&site.pg, "flip", 0);
}

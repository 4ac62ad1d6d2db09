//! What needs root to bring about: a full disk, a missing right. Said when it is skipped.

use super::*;

fn is_root(test: &str) -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        let _no_terminal = writeln!(std::io::stderr(), "skipped (it needs root): {test}");
    }
    root
}

/// A small file system of a test's own; unmounted on drop.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, inodes: u32) -> Option<Disk> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("nr_inodes={inodes},size=1m,mode=755");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Disk(at.to_owned()));
        }
        let _no_terminal = writeln!(std::io::stderr(), "skipped (nothing can be mounted here): a full disk");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_leaves_the_running_tree_and_nothing_half_made() {
    if !is_root("a full disk") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(&temp.path().join("bg"), 60) else { return };
    let site = Site { dir: temp.path().join("bg/shop"), temp };
    run(script::DIRS, &[site.path(), "no"], b"").done();
    site.prepare(&[(1, None)]).done();
    site.commit(1, None).done();
    let full = site.prepare(&[(2, Some(100))]);
    assert!(full.code != Some(0) && full.stderr.contains("No space left"), "{:?} {}", full.code, full.stderr);
    assert_eq!((site.current().as_str(), site.gens()), ("gen/1", vec![1]));
    assert!(names(&site.live("gen")).iter().all(|name| !name.starts_with('.')), "what was unpacked is removed");
    site.prepare(&[(2, Some(5))]).done();
    site.commit(2, Some(5)).done();
    // The disk is unmounted before its directory is removed.
    drop(disk);
}

/// Runs a script as somebody who may do nothing.
fn as_nobody(script: Script, args: &[&str], stdin: &[u8]) -> Ran {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "dash", "-c", script.text, script.name])
        .args(args);
    // The one of these tests may be private.
    command.env_remove("TMPDIR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, stdin)
}

#[test]
fn no_right_is_told_from_every_other_failure_and_names_the_command() {
    if !is_root("no right") {
        return;
    }
    let site = Site::new();
    chmod(site.temp.path(), 0o755);
    let ran = as_nobody(script::LOOK, &[site.path()], b"");
    assert_eq!(ran.answer.get("user"), Some("nobody"));
    let ran = as_nobody(script::PREPARE, &[site.path(), OURS, "6", "5", "1", "x"], b"");
    assert_eq!(ran.code, Some(77), "{}", ran.stderr);
    let ran = as_nobody(script::COMMIT, &[site.path(), "1", OURS, "x", "5", "no"], b"");
    assert_eq!(ran.code, Some(77), "{}", ran.stderr);
    for sudo in ["no", "yes"] {
        let other = site.temp.path().join("bg/other");
        let ran = as_nobody(script::DIRS, &[other.to_str().unwrap(), sudo], b"");
        assert_eq!(ran.code, Some(77), "{}", ran.stderr);
        let command = ran.answer.get("no_right").unwrap();
        let wanted = format!("install -d -m 755 {}", other.display());
        assert!(command.ends_with(&wanted) && command.starts_with("sudo -n ") == (sudo == "yes"), "{command}");
    }
    let ran = as_nobody(script::DUMP, &["sudo -n nginx -T"], b"");
    assert_eq!(ran.code, Some(77), "{}", ran.stderr);
    let ran = as_nobody(script::DUMP, &["echo no >&2; exit 3"], b"");
    assert_eq!((ran.code, ran.stderr.trim()), (Some(3), "no"));
}

#[test]
fn a_tree_that_is_closed_to_us_is_seen_as_unreadable() {
    if !is_root("a closed directory") {
        return;
    }
    let site = Site::new();
    site.prepare(&[(1, None)]).done();
    site.commit(1, None).done();
    chmod(site.temp.path(), 0o755);
    chmod(&site.live("gen/1"), 0o700);
    let look = as_nobody(script::LOOK, &[site.path()], b"").done();
    assert_eq!((look.get("tree"), look.get("traffic")), (Some("unreadable"), Some("unreadable")));
    chmod(site.temp.path(), 0o700);
    let look = as_nobody(script::LOOK, &[site.path()], b"").done();
    assert_eq!((look.get("dir"), look.get("current")), (Some("unreadable"), Some("unreadable")));
}

#[test]
fn with_sudo_the_same_work_is_done_for_an_ordinary_user_who_may() {
    let there =
        Command::new("sudo").args(["-n", "true"]).stdin(Stdio::null()).output().is_ok_and(|o| o.status.success());
    if !is_root("sudo") || !there {
        let _no_terminal = writeln!(std::io::stderr(), "skipped (no sudo without a password): the work with sudo");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let site = Site { dir: temp.path().join("bg/shop"), temp };
    run(script::DIRS, &[site.path(), "yes"], b"").done();
    for (revision, first) in [("1", ""), ("2", "# http.conf 1")] {
        let args = [site.path(), "yes", revision, "5", "sudo -n true", "sudo -n true"];
        run(script::WRITE_CONF, &args, &conf::files(revision)).done();
        let answer = run(script::RESTORE_CONF, &[site.path(), "yes", revision, "5"], b"").done();
        assert_eq!(answer.get("restored"), Some(first));
        run(script::WRITE_CONF, &args, &conf::files(revision)).done();
        run(script::SETTLE_CONF, &[site.path(), "yes", "5"], b"").done();
    }
    let log = run(script::LOG_SINCE, &["yes", &format!("{}/error.log", site.path()), "2026"], b"");
    assert!(log.code != Some(0) && log.stderr.contains("No such file"), "{}", log.stderr);
}

//! The keeper alone, on a directory of this machine, in each shell that is here.

use std::{
    fs,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use super::answer::{KEEPER, Look};

struct Kept {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Kept {
    fn start(shell: &str, dir: &Path, lease: &str) -> Kept {
        let mut command = Command::new(shell);
        command.args(["-c", KEEPER.text(), "bg"]).arg(dir).args([lease, "5", "0.3", "{}", "anna"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut kept = Kept { input: process.stdin.take(), process, output };
        let line = kept.line();
        assert!(line.starts_with("ticket ") && line.ends_with("/queue/0000000001.json"), "{line}");
        assert_eq!(kept.ask("begin", ""), "begun");
        kept
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn send(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn ask(&mut self, words: &str, data: &str) -> String {
        self.send(&format!("{words:<64}{data}"));
        self.line()
    }

    fn ends(mut self, dir: &Path) {
        self.process.wait().unwrap();
        assert_eq!(fs::read_dir(dir.join("queue")).unwrap().count(), 0, "its ticket is gone");
    }
}

fn in_each_shell(test: impl Fn(&str, &Path) + Sync) {
    let in_this = |shell: &str| {
        let temp = tempfile::tempdir().unwrap();
        test(shell, &temp.path().join("journal"));
    };
    std::thread::scope(|scope| {
        for shell in ["dash", "bash"] {
            scope.spawn(move || in_this(shell));
        }
    });
}

#[test]
fn it_appends_only_behind_what_its_caller_has_read() {
    in_each_shell(|shell, dir| {
        let mut kept = Kept::start(shell, dir, "15");
        let journal = dir.join("journal.jsonl");
        assert_eq!(kept.ask("append 0 0 5", "é\\n$"), "appended");
        assert_eq!(kept.ask("append 0 0 2", "ab"), "conflict grown");
        assert_eq!(kept.ask("append 7 0 2", "ab"), "conflict short");
        fs::write(&journal, "é\\n$\ntorn").unwrap();
        assert_eq!(kept.ask("append 6 0 2", "ab"), "appended");
        fs::write(&journal, "é\\n$\nab").unwrap();
        assert_eq!(kept.ask("append 8 1 2", "cd"), "appended");
        assert_eq!(fs::read_to_string(&journal).unwrap(), "é\\n$\nab\ncd\n");
        fs::remove_file(&journal).unwrap();
        assert_eq!(kept.ask("append 12 0 2", "ef"), "conflict replaced");
        assert_eq!(kept.ask("beat", ""), "beat");
        assert_eq!(kept.ask("leave", ""), "left");
        kept.ends(dir);
        assert!(!journal.exists());
    });
}

#[test]
fn a_record_that_did_not_come_whole_is_not_written() {
    in_each_shell(|shell, dir| {
        for part in ["append 0 0 5", "append 0 0 5".repeat(6).as_str(), &format!("{:<64}abcd", "append 0 0 5")] {
            let mut kept = Kept::start(shell, dir, "15");
            kept.send(part);
            drop(kept.input.take());
            assert_eq!(kept.line(), "over");
            kept.ends(dir);
            assert_eq!(fs::read(dir.join("journal.jsonl")).unwrap(), b"", "{shell}: {part}");
        }
    });
}

#[test]
fn unheard_of_for_the_time_of_its_lease_it_gives_everything_back() {
    in_each_shell(|shell, dir| {
        // Before the lease begins: so all of it is in what is measured, whoever is slow.
        let started = Instant::now();
        // More than this process may be kept from saying what it has to say.
        let mut kept = Kept::start(shell, dir, "3");
        kept.send("bea");
        assert_eq!(kept.line(), "over");
        assert!(started.elapsed() >= Duration::from_millis(2950), "{:?}", started.elapsed());
        kept.ends(dir);
        // The lock is free.
        Kept::start(shell, dir, "15");
    });
}

#[test]
fn without_its_ticket_it_writes_nothing_and_removes_nobody_s() {
    in_each_shell(|shell, dir| {
        let mut kept = Kept::start(shell, dir, "15");
        let ticket = dir.join("queue/0000000001.json");
        fs::write(dir.join("other"), "another's").unwrap();
        fs::rename(dir.join("other"), &ticket).unwrap();
        assert_eq!(kept.ask("append 0 0 1", "a"), "lost");
        assert_eq!(kept.ask("leave", ""), "left");
        kept.process.wait().unwrap();
        assert_eq!(fs::read_to_string(&ticket).unwrap(), "another's");
    });
}

#[test]
fn a_look_tells_what_cannot_be_looked_into_from_what_is_not_there() {
    let temp = tempfile::tempdir().unwrap();
    let look = |dir: &Path| {
        let out = Command::new("dash").args(["-c", super::LOOK.text(), "bg"]).arg(dir).arg("all").output().unwrap();
        (out.status.code(), String::from_utf8(out.stdout).unwrap())
    };
    assert_eq!(look(&temp.path().join("none")), (Some(0), String::new()));
    fs::write(temp.path().join("file"), "").unwrap();
    let (code, said) = look(&temp.path().join("file"));
    assert!(code == Some(90) && said.starts_with("stop unreadable "), "{said}");
    fs::write(temp.path().join("journal.jsonl"), "a\nb").unwrap();
    assert_eq!(look(temp.path()), (Some(0), "journal 3\na\nb".to_owned()));
    assert!(Look::read(b"journal 3\na\nb").is_some());
}

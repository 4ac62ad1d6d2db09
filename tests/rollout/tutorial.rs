//! The tutorial's walk on the playground is walked, and must print what the tutorial shows.

use std::{fs, path::Path};

use bg_playground::{Playground, WALK, for_walk};
use regex::Regex;

const BEGIN: &str = "<!-- played: begin -->\n```console\n";
const END: &str = "\n```\n<!-- played: end -->";

/// The words, without what is another one each time: times of day, counts of tries, whoever runs it, and where lines break.
fn alike(text: &str) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (pattern, with) in [
        (r"\b\d\d:\d\d(:\d\d)?\b", "TIME"),
        (r"\(\d+( to \d+)? times\)", "(N times)"),
        (r"seen from `lb\d`( and `lb\d`)?", "seen from `lbN`"),
        (r"\d+ changes? before", "N changes before"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    // Whoever wrote the tutorial was root.
    text.replace(&format!("TIME {user} "), "TIME root ")
}

/// What stays to be read of a command: its result; of its steps only how a failed one ended.
fn played(site: &Playground, line: &str) -> String {
    let ran = site.bg(line.strip_prefix("bg ").unwrap().split_whitespace()).unwrap();
    let error = ran.stderr.find("error: ").map_or("", |at| &ran.stderr[at..]);
    assert_eq!(ran.code, Some(if line.ends_with(" bad") { 4 } else { 0 }), "{ran}");
    format!("$ {line}\n{}{}", ran.stdout, error).trim_end().to_owned()
}

/// With `UPDATE_DOCS=1` in the environment what was printed is written into the tutorial instead.
#[test]
fn the_tutorial_shows_what_is_printed() {
    let mut site = Playground::options().bg(env!("CARGO_BIN_EXE_bg")).start().unwrap();
    site.setup("v1").unwrap().expect(0);
    for_walk(&site).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial.md");
    let text = fs::read_to_string(&path).unwrap();
    let mut parts = text.split(BEGIN);
    let mut now = parts.next().unwrap().to_owned();
    let mut walked = Vec::new();
    for part in parts {
        let (shown, rest) = part.split_once(END).unwrap();
        let commands: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
        let printed: Vec<String> = commands.iter().map(|line| played(&site, line)).collect();
        let printed = printed.join("\n\n");
        if std::env::var_os("UPDATE_DOCS").is_none() {
            assert_eq!(alike(shown), alike(&printed), "run this test again with UPDATE_DOCS=1");
        }
        now.push_str(&format!("{BEGIN}{printed}{END}{rest}"));
        walked.extend(commands);
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, now).unwrap();
    }
    walked.retain(|line| *line != "bg status");
    let printed: Vec<&str> = WALK.iter().copied().filter(|line| *line != "bg status").collect();
    assert_eq!(printed, walked, "`make playground` prints another walk than the tutorial's");
}

//! Every command line in the documents is one that the program takes, and every command's help has what it must.

use std::process::{Command, Output};

use super::{blocks, documents, folder, fs, quoted};

const BG: &str = env!("CARGO_BIN_EXE_bg");

/// The words of a shell line, and where a new command begins in it (`&&`, `||`, `;`, `|`). A comment is left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut end = |word: &mut Option<String>, next: bool| {
        all.last_mut().unwrap().extend(word.take());
        if next && !all.last().unwrap().is_empty() {
            all.push(Vec::new());
        }
    };
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if open == c => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ';' | '|' | '&') => end(&mut word, true),
            (None, c) if c.is_whitespace() => end(&mut word, false),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    end(&mut word, true);
    all.retain(|words| !words.is_empty());
    all
}

/// The arguments of every call of the program that a block shows behind a prompt.
fn calls(block: &str) -> Vec<Vec<String>> {
    let lines = block.lines().filter_map(|line| line.strip_prefix("$ "));
    let words = lines.flat_map(commands).filter(|words| words[0] == "bg" || words[0] == "bluegreen");
    words.map(|words| words[1..].to_vec()).collect()
}

/// In an empty folder, where every command that is about a site stops once its words are understood: there is no inventory.
fn run<T: AsRef<std::ffi::OsStr>>(words: &[T]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    Command::new(BG).args(words).current_dir(dir.path()).env_remove("BG_INVENTORY").output().unwrap()
}

#[test]
fn every_command_line_in_the_documents_is_understood() {
    let mut seen = 0;
    for (path, text) in documents() {
        for words in blocks(&text, "console").iter().flat_map(|block| calls(block)) {
            seen += 1;
            let ran = run(&words);
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            let understood = ran.status.success() || said.starts_with("error: there is no inventory");
            assert!(understood, "{path}: `bg {}`: {said}", words.join(" "));
        }
    }
    assert!(seen >= 40, "{seen}");
}

#[test]
fn every_command_that_the_documents_name_exists() {
    for (path, text) in documents() {
        let named = quoted(&text).into_iter().filter_map(|words| words.strip_prefix("bg "));
        // A word in capitals stands for something, three dots for the rest; what is for jobs, such as %1, is the shell's.
        let stands = |word: &str| word.chars().all(|c| !c.is_ascii_lowercase());
        for line in named.filter(|line| !line.split_whitespace().any(stands)) {
            let Some(words) = commands(line).into_iter().next() else { continue };
            let ran = run(&[words, vec!["--help".to_owned()]].concat());
            assert!(ran.status.success(), "{path}: `bg {line}`: {}", String::from_utf8_lossy(&ran.stderr));
        }
    }
}

fn help(words: &[&str]) -> String {
    let ran = run(&[words, &["--help"]].concat());
    assert!(ran.status.success(), "{words:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// Every command that the program lists, those of `journal` too.
fn listed() -> Vec<Vec<String>> {
    let commands = |help: &str| -> Vec<String> {
        let list = help.split_once("Commands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or_default());
        let names = list.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        names.filter_map(|line| line.split_whitespace().next().map(ToOwned::to_owned)).collect()
    };
    let mut all: Vec<Vec<String>> = commands(&help(&[])).into_iter().map(|name| vec![name]).collect();
    let below = commands(&help(&["journal"])).into_iter().map(|name| vec!["journal".to_owned(), name]);
    all.extend(below);
    all
}

#[test]
fn every_help_has_two_sentences_an_example_and_its_exit_codes() {
    let all = listed();
    assert!(all.len() >= 18, "{all:?}");
    for words in all {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = help(&words);
        let paragraphs: Vec<String> =
            text.split("\n\n").map(|part| part.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for sentence in &paragraphs[..2] {
            assert!(sentence.ends_with('.') && !sentence.contains(". "), "{words:?}: {sentence}");
        }
        assert!(paragraphs[2].starts_with("Usage: bg"), "{words:?}: {}", paragraphs[2]);
        let (_, example) = text.split_once("\nExample:\n  ").unwrap_or_else(|| panic!("{words:?}: {text}"));
        let (example, codes) =
            example.split_once("\n\nExit codes:\n  0 ").unwrap_or_else(|| panic!("{words:?}: {text}"));
        assert!(codes.lines().count() >= 2, "{words:?}: {codes}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{words:?}: {text}");
        let heading = |name: &str| text.find(&format!("\n{name}:\n"));
        assert!(heading("Global options").is_some_and(|at| heading("Options") < Some(at)), "{words:?}: {text}");
        if let Some(example) = example.strip_prefix("bg ") {
            let ran = run(&commands(example).remove(0));
            let said = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert!(ran.status.success() || said.starts_with("error: there is no inventory"), "{example}: {said}");
        }
    }
}

/// What `check --hosts` asks about is what the tutorial allows.
#[test]
fn the_sudo_rules_are_those_that_are_checked() {
    let tutorial = fs::read_to_string(folder("docs/tutorial.md")).unwrap();
    let rules = blocks(&tutorial, "sudoers").concat();
    let asked = fs::read_to_string(folder("src/edge/check/ready.sh")).unwrap();
    let mut compared = 0;
    for line in asked.lines().filter_map(|line| line.trim().strip_prefix("may ")) {
        let names = line.replace("$(id -un)", "deploy").replace("$(id -gn)", "deploy").replace('"', "");
        let command = names.replace("${dir%/*}", "/etc/nginx/bg").replace("$dir", "/etc/nginx/bg/shop");
        assert!(rules.contains(&format!("/usr/bin/{command}")), "{command}");
        compared += 1;
    }
    assert!(compared >= 7, "{compared}");
    let user = rules.lines().last().unwrap();
    for alias in rules.lines().filter_map(|line| line.strip_prefix("Cmnd_Alias ")?.split(' ').next()) {
        assert!(user.contains(alias), "{alias}");
    }
}

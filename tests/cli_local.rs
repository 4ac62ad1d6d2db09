//! Commands that need no host: init, check, help, usage errors; under both names of the program.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

const BLUEGREEN: &str = env!("CARGO_BIN_EXE_bluegreen");
const BG: &str = env!("CARGO_BIN_EXE_bg");

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(program: &str, dir: &Path, words: &[&str]) -> Ran {
    run_in("C.UTF-8", program, dir, words)
}

/// The same in a locale.
fn run_in(locale: &str, program: &str, dir: &Path, words: &[&str]) -> Ran {
    let mut command = Command::new(program);
    command.args(words).current_dir(dir).env_remove("BG_INVENTORY").env("LC_ALL", locale);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

fn document(ran: &Ran) -> Value {
    assert_eq!(ran.stdout.lines().count(), 1, "one document: {}", ran.stdout);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn init_writes_what_check_accepts_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(BG, dir.path(), &["init", "shop"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("wrote `shop/inventory/production.toml`"), "{}", ran.stdout);
    let shop = dir.path().join("shop");
    assert_eq!(run(BG, &shop, &["check"]).code, Some(0));

    let inventory = shop.join("inventory/production.toml");
    fs::write(&inventory, "mine").unwrap();
    fs::remove_file(shop.join("nginx-templates/http.conf.tera")).unwrap();
    let ran = run(BG, dir.path(), &["init", "shop"]);
    assert_eq!(fs::read_to_string(&inventory).unwrap(), "mine");
    assert!(ran.stdout.contains("wrote `shop/nginx-templates/http.conf.tera`"), "{}", ran.stdout);
    assert!(
        ran.stdout.contains("left alone what is there already: `shop/inventory/production.toml`"),
        "{}",
        ran.stdout
    );
}

#[test]
fn init_writes_through_no_dangling_link() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("inventory")).unwrap();
    let target = dir.path().join("elsewhere");
    std::os::unix::fs::symlink(&target, dir.path().join("inventory/production.toml")).unwrap();
    assert_eq!(run(BG, dir.path(), &["init"]).code, Some(0));
    assert!(!target.exists());
}

#[test]
fn check_shows_every_error_of_the_inventory_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("site.toml");
    fs::write(&file, "[site]\nname = \"Shop\"\njurnal = \"file:x\"\n").unwrap();
    let ran = run(BG, dir.path(), &["-i", "site.toml", "check"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("site.toml:2:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("did you mean `journal`?"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: mend it, then `bg check`"), "{}", ran.stderr);

    let ran = run(BG, dir.path(), &["-i", "site.toml", "check", "--json"]);
    let document = document(&ran);
    assert_eq!((document["ok"].clone(), document["exit"].clone()), (false.into(), 2.into()));
    assert!(document["findings"].as_array().unwrap().len() >= 2);
    assert!(document["findings"].as_array().unwrap().iter().any(|finding| finding["line"] == 2), "{}", ran.stdout);
}

#[test]
fn broken_templates_are_found_before_anything_else_happens() {
    let dir = tempfile::tempdir().unwrap();
    run(BG, dir.path(), &["init"]);
    let inventory = dir.path().join("inventory/production.toml");
    let text = fs::read_to_string(&inventory).unwrap();
    fs::write(&inventory, text.replace("# templates =", "templates =")).unwrap();
    assert_eq!(run(BG, dir.path(), &["check"]).code, Some(0));
    fs::write(dir.path().join("nginx-templates/http.conf.tera"), "{{ nope }}").unwrap();
    let ran = run(BG, dir.path(), &["check"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("`templates` cannot be used"), "{}", ran.stderr);
}

#[test]
fn every_hint_is_under_the_name_that_was_called() {
    let dir = tempfile::tempdir().unwrap();
    for (program, name) in [(BG, "bg"), (BLUEGREEN, "bluegreen")] {
        let ran = run(program, dir.path(), &["status"]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains(&format!("hint: `{name} init` writes one")), "{}", ran.stderr);
        assert!(run(program, dir.path(), &["exec", "--help"]).stdout.contains(&format!("\n  {name} exec web/green")));
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_one_document() {
    let dir = tempfile::tempdir().unwrap();
    for words in [&["depoly", "--json"][..], &["check", "--host", "--json"], &["--json"]] {
        let ran = run(BG, dir.path(), words);
        assert_eq!(ran.code, Some(2), "{words:?}");
        let document = document(&ran);
        assert_eq!(document["exit"], 2);
        assert_eq!((document["stage"].clone(), document["rollout"].clone()), (Value::Null, Value::Null));
        assert!(ran.stderr.is_empty(), "{}", ran.stderr);
    }
    let ran = run(BG, dir.path(), &["chekc"]);
    assert!(ran.stderr.contains("a similar subcommand exists: `check`"), "{}", ran.stderr);
    let ran = run(BG, dir.path(), &["exec", "web", "--timeout", "0", "--", "true"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("invalid value `0` for `--timeout <DURATION>`"), "{}", ran.stderr);
}

#[test]
fn a_command_that_changes_the_site_is_no_guess_for_another_word() {
    let dir = tempfile::tempdir().unwrap();
    for word in ["adopt", "releases", "flit-back", "report"] {
        let ran = run(BG, dir.path(), &[word]);
        assert_eq!(ran.code, Some(2));
        assert!(!ran.stderr.contains("exist"), "{}", ran.stderr);
    }
    for (word, near) in [("flp", "flip"), ("depoly", "deploy"), ("statsu", "status")] {
        let ran = run(BG, dir.path(), &[word]);
        assert!(ran.stderr.contains(&format!("`{near}`")), "{}", ran.stderr);
    }
}

#[test]
fn a_json_flag_behind_two_dashes_belongs_to_the_command_that_is_run() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(BG, dir.path(), &["exec", "web", "--nope", "--", "tool", "--json"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stdout.is_empty() && ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

#[test]
fn a_damaged_journal_is_named_with_its_line_and_the_hosts_are_asked_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    run(BG, dir.path(), &["init"]);
    let inventory = dir.path().join("inventory/production.toml");
    let text = fs::read_to_string(&inventory).unwrap();
    fs::write(&inventory, text.replace("example.net", "invalid")).unwrap();
    fs::create_dir_all(dir.path().join(".bg/production")).unwrap();
    fs::write(dir.path().join(".bg/production/journal.jsonl"), "rubbish\n").unwrap();
    let ran = run(BG, dir.path(), &["status", "--json"]);
    assert_eq!(ran.code, Some(1));
    let document = document(&ran);
    assert!(document["journal"].as_str().unwrap().contains("damaged at line 1"), "{}", ran.stdout);
    assert_eq!(document["balancers"][0]["reachable"], false);
    assert_eq!(document["stage"], Value::Null);
}

/// Wrong command lines, each with what is said of it.
#[test]
fn wrong_command_lines() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(BG, dir.path(), &["init"]).code, Some(0));
    let lines = [
        "",
        "deplyo",
        "adopt",
        "flip --bakc",
        "status extra",
        "shell tcsh",
        "-i nowhere check",
        "exec wbe -- true",
        "exec web",
        "canary",
        "canary mobil=10%",
        "canary mobile=ten",
        "canary mobile=101%",
        "canary mobile=0%",
        "deploy --revert-after 10m",
        "flip --revert-after soon",
        "flip --revert-after 1s",
        "flip --back --revert-after 10m",
        "canary off --revert-after 10m",
        "deploy --artifact web",
        "deploy --wait soon",
        "deploy --skip-superseded",
        "deploy v2",
        "setup v2 --dry-run",
        "exec web2 true",
        "exec --timeout 5s web2 ls -l",
        "lock --why",
        "journal copy file:a",
        "journal copy nowhere file:b",
    ];
    let mut said = String::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ran = run(BG, dir.path(), &words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "bg {line}: {}", ran.stderr);
        said.push_str(&format!("{}\n{}\n", format!("$ bg {line}").trim_end(), ran.stderr));
    }
    insta::assert_snapshot!(said);
}

#[test]
fn where_the_locale_has_no_utf_8_people_get_ascii_and_machines_what_they_always_get() {
    let dir = tempfile::tempdir().unwrap();
    let [utf8, ascii] = ["C.UTF-8", "C"].map(|locale| run_in(locale, BG, dir.path(), &["status"]).stderr);
    assert!(utf8.contains("`bg init` writes one · `bg -i PATH …` names"), "{utf8}");
    assert!(ascii.contains("`bg init` writes one - `bg -i PATH ...` names") && ascii.is_ascii(), "{ascii}");
    let [utf8, ascii] = ["C.UTF-8", "C"].map(|locale| run_in(locale, BG, dir.path(), &["status", "--json"]).stdout);
    assert_eq!(utf8, ascii);
}

#[test]
fn a_status_that_cannot_be_written_is_not_done() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run(BG, dir.path(), &["init"]).code, Some(0));
    for line in ["status --timeout 1s --json", "status --timeout 1s"] {
        let to = |stdout: &str| run("sh", dir.path(), &["-c", &format!("{BG} {line} {stdout}")]);
        assert_eq!(to("").code, Some(0), "{line}");
        let full = to(">/dev/full");
        assert_eq!(full.code, Some(1), "{line}: {}", full.stderr);
        assert!(full.stderr.contains("could not be written to stdout: No space left"), "{line}: {}", full.stderr);
    }
}

#[test]
fn in_a_folder_that_is_gone_it_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let line = format!("rmdir '{}' && exec {BG} status", gone.display());
    let ran = run("sh", &gone, &["-c", &line]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: the folder that this shell stands in is gone"), "{}", ran.stderr);
}

//! What the documents say is what the program does.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{fs, path::PathBuf};

const BEGIN: &str = "<!-- stages: begin -->\n";
const END: &str = "<!-- stages: end -->\n";

/// With `UPDATE_DOCS=1` in the environment the table is written instead.
#[test]
fn the_table_of_stages_is_the_one_of_the_transition_function() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/design.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let wanted = format!("\n{}\n", bluegreen_core::rollout::table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "run this test again with UPDATE_DOCS=1");
}

/// The engine knows no edge, and the core neither: the seams that everything else relies on.
#[test]
fn the_engine_names_no_edge() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/engine");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("edge::") && !text.contains("cli::"), "{}", path.display());
    }
}

#[test]
fn the_readme_explains_the_name_before_its_first_command() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).unwrap();
    let name = text.find("eval \"$(bluegreen shell bash)\"").unwrap();
    assert!(text.find("$ bg ").unwrap() > name);
}

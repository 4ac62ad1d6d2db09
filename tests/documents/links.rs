//! Every link in the documents that leads to a file of the project leads to one that is there.

use super::{documents, folder, fs};

/// The anchor that a heading gets.
fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| slug(line.trim_start_matches('#'))).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let mut broken = Vec::new();
    let mut seen = 0;
    for (path, text) in documents() {
        let here = folder(&path).parent().unwrap().to_owned();
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://")) {
            seen += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { folder(&path) } else { here.join(file) };
            let is_there = file.exists()
                && (anchor.is_empty() || anchors(&fs::read_to_string(&file).unwrap()).iter().any(|it| it == anchor));
            if !is_there {
                broken.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(seen >= 10, "{seen}");
    assert_eq!(broken, Vec::<String>::new());
}

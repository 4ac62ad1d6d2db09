//! The panes that were captured are no larger than the terminal that they are said to come from.

use super::{documents, folder, fs};

/// Every pane of a document: its columns and rows, and what it shows.
fn panes(text: &str) -> Vec<((usize, usize), &str)> {
    let names = text.lines().filter_map(|line| line.strip_prefix("<!-- pane ")?.strip_suffix(": begin -->"));
    let pane = |name: &str| {
        let (columns, rows) = name.rsplit_once(" at ").unwrap().1.split_once('x').unwrap();
        let (_, rest) = text.split_once(&format!("<!-- pane {name}: begin -->\n```console\n")).unwrap();
        let shown = rest.split_once(&format!("\n```\n<!-- pane {name}: end -->\n"));
        let (shown, _) = shown.unwrap_or_else(|| panic!("{name} does not end"));
        ((columns.parse().unwrap(), rows.parse().unwrap()), shown)
    };
    names.map(pane).collect()
}

#[test]
fn every_pane_fits_its_terminal() {
    let text = fs::read_to_string(folder("docs/terminal.md")).unwrap();
    let panes = panes(&text);
    for ((columns, rows), shown) in &panes {
        assert!(shown.lines().count() <= *rows, "{rows} rows:\n{shown}");
        let wide = shown.lines().find(|line| line.chars().count() > *columns);
        assert_eq!(wide, None, "{columns} columns");
        let is_trimmed = !shown.starts_with('\n') && !shown.ends_with('\n') && !shown.contains(" \n");
        assert!(is_trimmed && !shown.is_empty(), "{shown}");
    }
    assert!((10..=14).contains(&panes.len()), "{}", panes.len());
    for size in [(80, 24), (200, 50)] {
        assert!(panes.iter().any(|(other, _)| *other == size), "{size:?}");
    }
}

/// What was captured somewhere says nothing of that place.
#[test]
fn no_document_names_a_folder_of_somebody_s_machine() {
    for (path, text) in documents() {
        for folder in ["/root/", "/home/", "/dev/shm/bg", "/work/", "/target/debug/build"] {
            assert!(!text.contains(folder), "{path}: {folder}");
        }
    }
}

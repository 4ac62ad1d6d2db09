//! What is deployed: artifacts that are refused, and every kind of artifact as it arrives; what stays on the servers.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bg_playground::{Behaviour, Playground, Running};
use tar::{Builder, EntryType, Header};

use super::{bg, deploy, release, says, serves, small, stage, started};
use crate::desk::{SOON, journal_file};

/// A raw entry: the builder's own checks are not asked.
fn raw(name: &str, kind: EntryType, mode: u32, link: &str) -> Header {
    let mut header = Header::new_gnu();
    let field = &mut header.as_gnu_mut().unwrap().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(0);
    if !link.is_empty() {
        header.set_link_name_literal(link).unwrap();
    }
    header.set_cksum();
    header
}

/// An archive that begins well and then holds this entry.
fn evil(site: &Playground, number: usize, header: &Header) -> PathBuf {
    let path = site.dir().join(format!("dist/evil-{number}.tar"));
    let mut archive = Builder::new(File::create(&path).unwrap());
    archive.append_dir_all(".", site.dir().join("dist/web-v1")).unwrap();
    archive.append(header, &[][..]).unwrap();
    archive.finish().unwrap();
    path
}

/// Everything on a server below its root: the paths, and what `.bg` says.
fn everything(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        found.push(format!("{} {text}", path.display()));
        if entry.file_type().unwrap().is_dir() {
            found.extend(everything(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn an_artifact_that_is_missing_damaged_or_leaves_its_directory_touches_nothing() {
    let site = started(small());
    let journal = fs::read(journal_file(&site)).unwrap();
    let before: Vec<String> = site.places().iter().flat_map(|place| everything(&place.root)).collect();
    let said = bg(&site, "deploy --release nope", 2);
    says(&said, &["pool `web`: there is no artifact at", "dist/web-nope", "--artifact web=PATH", "nothing was"]);
    says(&said, &["give `--release` one that is built, newest first: v1 · or build it"]);
    let mut command = site.bg_command(["deploy", "--release", "v1"]).unwrap();
    command.env("TMPDIR", site.dir().join("gone"));
    let said = Running::start(command).unwrap().wait(SOON).unwrap();
    said.expect(1);
    let dir = format!("{}/gone`", site.dir().display());
    says(&said.stderr, &["cannot write a temporary copy", &dir, "TMPDIR", "nothing was touched"]);
    assert!(!said.stderr.contains("--artifact"), "{said}");

    let cases = [
        (raw("../escape", EntryType::Regular, 0o644, ""), "its entry `../escape` has `..` in its path"),
        (raw("/etc/escape", EntryType::Regular, 0o644, ""), "its entry `/etc/escape` has an absolute path"),
        (raw("out", EntryType::Symlink, 0o777, "../../etc"), "its entry `out` is a link that leaves the archive"),
        (raw("root", EntryType::Regular, 0o4755, ""), "its entry `root` has the setuid or setgid bit set"),
        (raw("disk", EntryType::Block, 0o644, ""), "its entry `disk` is a"),
    ];
    for (number, (header, wanted)) in cases.iter().enumerate() {
        let path = evil(&site, number, header);
        let said = bg(&site, &format!("deploy --release evil --artifact web={}", path.display()), 2);
        says(&said, &[wanted, "evil-", "nothing was sent to any host"]);
    }
    let whole = site.archive("web", "v2", &Behaviour::default()).unwrap();
    let bytes = fs::read(&whole).unwrap();
    fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
    let said = bg(&site, &format!("deploy --release v2 --artifact web={}", whole.display()), 2);
    says(&said, &["is damaged", "nothing was sent to any host", "build it again"]);

    assert_eq!(fs::read(journal_file(&site)).unwrap(), journal);
    let after: Vec<String> = site.places().iter().flat_map(|place| everything(&place.root)).collect();
    assert_eq!(after, before);
    serves(&site, "both", "v1");
}

/// Packs a directory as the name says, links as links.
fn pack(directory: &Path, path: &Path) {
    let file = File::create(path).unwrap();
    let text = path.display().to_string();
    let to: Box<dyn Write> = if text.ends_with(".gz") {
        Box::new(flate2::write::GzEncoder::new(file, flate2::Compression::fast()))
    } else if text.ends_with(".zst") {
        Box::new(zstd::Encoder::new(file, 0).unwrap().auto_finish())
    } else {
        Box::new(file)
    };
    let mut archive = Builder::new(to);
    archive.follow_symlinks(false);
    archive.append_dir_all(".", directory).unwrap();
    archive.into_inner().unwrap().flush().unwrap();
}

#[test]
fn every_kind_of_artifact_arrives_as_it_was_built() {
    let site = started(small());
    for (number, kind) in ["", ".tar", ".tar.gz", ".tar.zst"].iter().enumerate() {
        let label = format!("a{number}");
        let directory = site.artifact("web", &label, &Behaviour::default()).unwrap();
        fs::create_dir(directory.join("bin")).unwrap();
        fs::write(directory.join("bin/tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(directory.join("bin/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("bin/tool", directory.join("run me")).unwrap();
        fs::write(directory.join("ünïcode 'quoted\" $name"), "x").unwrap();
        let mut path = directory.display().to_string();
        if !kind.is_empty() {
            path.push_str(kind);
            pack(&directory, Path::new(&path));
        }
        bg(&site, &format!("deploy --release {label} --artifact web={path}"), 0);
        assert_eq!(site.ask("web2", "/").unwrap().release(), label);
        let current = site.place("web2").root.join("current");
        let mode = |name: &str| fs::symlink_metadata(current.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("bin/tool"), mode("app.json"), mode("bin")), (0o755, 0o644, 0o755), "{kind}");
        assert_eq!(fs::read_link(current.join("run me")).unwrap(), Path::new("bin/tool"));
        assert!(current.join("ünïcode 'quoted\" $name").is_file());
    }
    serves(&site, "blue", "v1");
}

/// Names below a server's `releases`.
fn releases(site: &Playground, host: &str) -> Vec<String> {
    let entries = fs::read_dir(site.place(host).root.join("releases")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_shared_outlives_releases_and_neither_the_present_nor_the_previous_is_pruned() {
    let site =
        started(small().each_pool(|pool| pool.deploy("keep", "2").deploy("shared", "[\"uploads\", \"var/cache\"]")));
    let uploads = |host: &str| site.place(host).root.join("current/uploads/photo");
    fs::write(uploads("web1"), "blue's").unwrap();
    fs::write(uploads("web2"), "green's").unwrap();
    let round = |label: &str| {
        deploy(&site, label, &Behaviour::default(), 0);
        bg(&site, "flip", 0);
        bg(&site, "restore", 0);
    };
    round("two");
    assert_eq!((releases(&site, "web1"), releases(&site, "web2")), (list("v1 v2"), list("v1 v2")));
    // Two that fail stand between the previous release and the present one.
    for label in ["three", "four"] {
        deploy(&site, label, &Behaviour { crashes: Some("no".into()), ..Behaviour::default() }, 4);
    }
    deploy(&site, "five", &Behaviour::default(), 0);
    bg(&site, "flip", 0);
    bg(&site, "restore", 0);
    assert_eq!(releases(&site, "web1"), list("v2 v5"));
    assert_eq!(releases(&site, "web2"), list("v2 v4 v5"), "the newest two, and the previous one");
    // The way back is there although only blue was asked to keep it.
    deploy(&site, "six", &Behaviour::default(), 0);
    bg(&site, "abort", 0);
    serves(&site, "both", "five");
    assert_eq!(fs::read_to_string(uploads("web1")).unwrap(), "blue's");
    assert_eq!(fs::read_to_string(uploads("web2")).unwrap(), "green's");
    assert!(site.place("web2").root.join("current/var/cache").is_dir());
    assert_eq!(stage(&site), "balanced");
}

fn list(names: &str) -> Vec<String> {
    names.split(' ').map(str::to_owned).collect()
}

#[test]
fn only_what_was_touched_is_restarted_by_an_abort() {
    let site = started(small().pools([bg_playground::Pool::new("web").halves(1, 2)]));
    let pids = || (site.app_pid("web2"), site.app_pid("web4"));
    let before = pids();
    // Somebody's own directory stands where the release should go, on one of two hosts.
    let stranger = site.place("web4").root.join("releases/v2");
    fs::create_dir(&stranger).unwrap();
    release(&site, "two", &Behaviour::default());
    let said = bg(&site, "deploy --release two", 4);
    says(&said, &["1 of 2 places of green failed: `web4`", "it was left alone", "Blue carries the site"]);
    assert_eq!(stage(&site), "isolated");
    bg(&site, "abort", 0);
    assert_eq!((pids(), stage(&site)), (before, "balanced"), "nothing was restarted");
    serves(&site, "both", "v1");
    fs::remove_dir(&stranger).unwrap();

    // The restart works on one of two hosts: only these two are restarted by the way back, blue never.
    let blue = site.app_pid("web1");
    super::apps::break_restart(&site, "web4");
    let said = deploy(&site, "three", &Behaviour::default(), 4);
    says(&said, &["1 of 2 places of green failed: `web4`", "status 7:\n  no more\nBlue carries the site"]);
    super::apps::mend_restart(&site, "web4");
    bg(&site, "abort", 0);
    serves(&site, "both", "v1");
    assert!(pids() != before && site.app_pid("web1") == blue);
}

//! Hostile archives, and the proof that what is accepted stays inside: it is unpacked for real.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use tar::EntryType;
use tempfile::TempDir;

use super::*;

/// One entry of an archive that no decent program would write.
#[derive(Debug, Clone)]
struct Raw {
    name: &'static str,
    kind: EntryType,
    link: &'static str,
    mode: u32,
    content: &'static [u8],
}

fn file(name: &'static str) -> Raw {
    Raw { name, kind: EntryType::Regular, link: "", mode: 0o644, content: b"hello" }
}

fn dir(name: &'static str) -> Raw {
    Raw { kind: EntryType::Directory, mode: 0o755, content: b"", ..file(name) }
}

fn link(name: &'static str, link: &'static str) -> Raw {
    Raw { kind: EntryType::Symlink, link, content: b"", ..file(name) }
}

fn hard(name: &'static str, link: &'static str) -> Raw {
    Raw { kind: EntryType::Link, link, content: b"", ..file(name) }
}

/// The bytes of a tar with exactly these headers, whatever they say.
fn tar_of(entries: &[Raw]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for raw in entries {
        let mut header = tar::Header::new_gnu();
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..raw.name.len()].copy_from_slice(raw.name.as_bytes());
        gnu.linkname[..raw.link.len()].copy_from_slice(raw.link.as_bytes());
        header.set_entry_type(raw.kind);
        header.set_mode(raw.mode);
        header.set_mtime(1_700_000_000);
        header.set_size(raw.content.len() as u64);
        header.set_cksum();
        builder.append(&header, raw.content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn inspected(entries: &[Raw]) -> Result<Packed, ArtifactError> {
    let home = TempDir::new().unwrap();
    let path = home.path().join("a.tar");
    fs::write(&path, tar_of(entries)).unwrap();
    inspect_and_pack(&path)
}

/// Two readers at once, as when two hosts are sent the same file: both have it whole.
fn sent(transfer: &Transfer) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let (mut first, mut second) = (transfer.reader(), transfer.reader());
    runtime.block_on(async {
        let (a, b) = tokio::join!(tokio::io::copy(&mut first, &mut one), tokio::io::copy(&mut second, &mut two));
        assert_eq!((a.unwrap(), b.unwrap()), (transfer.bytes, transfer.bytes));
    });
    assert!(one == two);
    one
}

/// Unpacks what would be sent with the tar of this machine, into `home/in`.
fn unpack(packed: &Packed, home: &Path) {
    let into = home.join("in");
    fs::create_dir(&into).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plain = runtime.block_on(packed.transfer(Encoding::Plain)).unwrap();
    let archive = tempfile::NamedTempFile::new().unwrap();
    fs::write(&archive, sent(&plain)).unwrap();
    let status = Command::new("tar").arg("-xf").arg(archive.path()).arg("-C").arg(&into).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_hostile_entry_is_refused_by_name() {
    let block = Raw { kind: EntryType::Block, content: b"", ..file("disk") };
    let cases: Vec<(Vec<Raw>, &str, &str)> = vec![
        (vec![file("/etc/passwd")], "/etc/passwd", "absolute"),
        (vec![file("../x")], "../x", "`..`"),
        (vec![file("a/../../x")], "a/../../x", "`..`"),
        (vec![file("a/..")], "a/..", "`..`"),
        (vec![link("l", "/etc")], "l", "leaves"),
        (vec![link("l", "..")], "l", "leaves"),
        (vec![link("d/l", "../../x")], "d/l", "leaves"),
        (vec![dir("d"), link("d/up", ".."), link("out", "d/up/../x"), file("f")], "out", "leaves"),
        (vec![link("out", "d/up/../x"), dir("d"), link("d/up", "..")], "out", "leaves"),
        (vec![link("out", "nowhere/../x")], "out", "steps up"),
        (vec![link("a", "b"), link("b", "a")], "a", "circle"),
        (vec![link("a", "."), file("a/x")], "a/x", "through the link `a`"),
        (vec![file("a"), file("a/x")], "a/x", "not a directory"),
        (vec![dir("a"), link("a", "b")], "a", "twice"),
        (vec![file("a/x"), link("a", "b")], "a", "twice"),
        (vec![file("a"), file("./a")], "./a", "twice"),
        (vec![hard("h", "/etc/shadow")], "h", "leaves"),
        (vec![hard("h", "../x")], "h", "leaves"),
        (vec![hard("h", "later"), file("later")], "h", "no earlier plain file"),
        (vec![link("l", "x"), hard("h", "l")], "h", "no earlier plain file"),
        (vec![block], "disk", "device node"),
        (vec![Raw { kind: EntryType::Char, content: b"", ..file("tty") }], "tty", "device node"),
        (vec![Raw { kind: EntryType::Fifo, content: b"", ..file("pipe") }], "pipe", "a fifo"),
        (vec![Raw { kind: EntryType::new(b'M'), ..file("odd") }], "odd", "neither"),
        (vec![Raw { mode: 0o4755, ..file("su") }], "su", "setuid"),
        (vec![Raw { mode: 0o2755, ..dir("sg") }], "sg", "setuid"),
    ];
    for (mut entries, name, why) in cases {
        entries.insert(0, file("honest"));
        let error = inspected(&entries).expect_err(&format!("{entries:?} was accepted"));
        let text = error.to_string();
        assert!(matches!(error, ArtifactError::Refused { .. }), "{text}");
        assert!(text.contains(&format!("`{name}`")) && text.contains(why), "{name}: {text}");
    }
}

#[test]
fn an_honest_archive_arrives_as_it_was() {
    let home = TempDir::new().unwrap();
    let script = Raw { mode: 0o700, ..file("bin/run") };
    let secret = Raw { mode: 0o600, ..file("key") };
    let entries = [
        dir("./"),
        dir("./bin"),
        script,
        secret,
        link("app", "bin/run"),
        hard("same", "bin/run"),
        link("d/b", "../bin"),
    ];
    let packed = inspected(&entries).unwrap();
    assert_eq!((packed.entries, packed.format), (6, Some(Format::Tar)));
    unpack(&packed, home.path());
    let at = |name: &str| home.path().join("in").join(name);
    assert_eq!(fs::read(at("app")).unwrap(), b"hello");
    assert_eq!(fs::read(at("d/b/run")).unwrap(), b"hello");
    assert_eq!(fs::metadata(at("bin/run")).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(at("key")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(at("bin/run")).unwrap().ino(), fs::metadata(at("same")).unwrap().ino());
    assert_eq!(fs::metadata(at("key")).unwrap().mtime(), 1_700_000_000);
}

#[test]
fn a_sparse_file_of_gnu_tar_is_refused() {
    let home = TempDir::new().unwrap();
    fs::File::create(home.path().join("holes")).unwrap().set_len(10 << 20).unwrap();
    for format in ["--format=gnu", "--format=posix"] {
        let path = home.path().join("a.tar");
        let mut tar = Command::new("tar");
        tar.arg(format).arg("-Scf").arg(&path).arg("-C").arg(home.path()).arg("holes");
        assert!(tar.status().unwrap().success());
        let text = inspect_and_pack(&path).unwrap_err().to_string();
        assert!(text.contains("sparse"), "{format}: {text}");
    }
}

#[test]
fn long_names_pass_and_longer_ones_are_refused() {
    let home = TempDir::new().unwrap();
    let long = format!("{}/{}", "d".repeat(200), "f".repeat(255));
    for (name, fine) in [(long.clone(), true), (format!("{long}x"), false), ("a/".repeat(1600) + "f", false)] {
        let path = home.path().join("a.tar");
        let mut builder = tar::Builder::new(fs::File::create(&path).unwrap());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o644);
        builder.append_data(&mut header, &name, &b"hi"[..]).unwrap();
        builder.finish().unwrap();
        match inspect_and_pack(&path) {
            Ok(packed) if fine => {
                unpack(&packed, home.path());
                assert_eq!(fs::read(home.path().join("in").join(&name)).unwrap(), b"hi");
            }
            Err(error) if !fine => assert!(error.to_string().contains("too long"), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn every_compression_is_read_and_the_digest_is_of_the_users_file() {
    let home = TempDir::new().unwrap();
    let tar = tar_of(&[file("a/b")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&tar[..], 0).unwrap();
    for (name, bytes) in [("a.tar", &tar), ("a.tgz", &gzip), ("a.tar.gz", &gzip), ("a.tar.zst", &zstd)] {
        let path = home.path().join(name);
        fs::write(&path, bytes).unwrap();
        let packed = inspect_and_pack(&path).unwrap();
        let sum = Command::new("sha256sum").arg(&path).output().unwrap().stdout;
        assert!(sum.starts_with(packed.sha256.as_bytes()), "{name}");
    }
}

#[test]
fn a_cut_or_wrong_file_is_named() {
    let home = TempDir::new().unwrap();
    let tar = tar_of(&[file("a"), file("b")]);
    let zstd = zstd::encode_all(&tar[..], 0).unwrap();
    let gzip = {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&tar).unwrap();
        gzip.finish().unwrap()
    };
    let mut flipped = tar.clone();
    flipped[1030] ^= 1;
    let cases: Vec<(&str, &[u8], &str)> = vec![
        ("a.tar", &tar[..1024], "cut short"),
        ("a.tar", &tar[..1100], "damaged"),
        ("a.tar", &tar[..515], "damaged"),
        ("a.tar", &flipped, "damaged"),
        ("a.tar.zst", &zstd[..zstd.len() - 3], "damaged"),
        ("a.tar.gz", &gzip[..gzip.len() - 6], "damaged"),
        ("a.tar", &zstd, "holds zstd"),
        ("a.tar.zst", &gzip, "holds gzip"),
        ("a.tgz", &tar, "holds a plain tar"),
        ("a.tar", b"hello", "holds something else"),
        ("a.tar", b"", "holds nothing"),
        ("a.zip", b"PK", "none of"),
        ("a.tar", &[0; 1024], "holds no file"),
    ];
    for (name, bytes, why) in cases {
        let path = home.path().join(name);
        fs::write(&path, bytes).unwrap();
        let text = inspect_and_pack(&path).unwrap_err().to_string();
        assert!(text.contains(why) && text.contains(name), "{name}: {text}");
        fs::remove_file(&path).unwrap();
    }
    let text = inspect_and_pack(&home.path().join("gone.tar")).unwrap_err().to_string();
    assert!(text.contains("there is no artifact") && text.contains("gone.tar"), "{text}");
}

#[test]
fn a_directory_has_one_digest_whoever_packs_it_and_keeps_its_times() {
    let home = TempDir::new().unwrap();
    let mut digests = Vec::new();
    for (name, mode, order) in [("one", 0o600, ["a", "b"]), ("two", 0o664, ["b", "a"])] {
        let top = home.path().join(name);
        fs::create_dir_all(top.join("d")).unwrap();
        for file in order {
            fs::write(top.join("d").join(file), file.repeat(1000)).unwrap();
            fs::set_permissions(top.join("d").join(file), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(top.join("d/b"), fs::Permissions::from_mode(mode | 0o100)).unwrap();
        symlink("d/a", top.join("l")).unwrap();
        let packed = inspect_and_pack(&top).unwrap();
        digests.push(packed.sha256.clone());
        unpack(&packed, &top);
        let (was, is) = (fs::metadata(top.join("d/b")).unwrap(), fs::metadata(top.join("in/d/b")).unwrap());
        assert_eq!((is.mode() & 0o777, is.mtime()), (0o755, was.mtime()));
        fs::write(top.join("d/a"), "other").unwrap();
        assert_ne!(inspect_and_pack(&top).unwrap().sha256, digests[0]);
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_directory_is_inspected_like_an_archive() {
    let home = TempDir::new().unwrap();
    let top = home.path().join("top");
    fs::create_dir(&top).unwrap();
    assert!(inspect_and_pack(&top).unwrap_err().to_string().contains("holds no file"));
    fs::write(top.join("f"), "f").unwrap();
    symlink("../secret", top.join("l")).unwrap();
    assert!(inspect_and_pack(&top).unwrap_err().to_string().contains("leaves"));
    fs::remove_file(top.join("l")).unwrap();
    nix::unistd::mkfifo(&top.join("p"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(inspect_and_pack(&top).unwrap_err().to_string().contains("a fifo"));
}

#[test]
fn every_transfer_holds_the_same_and_has_no_name_that_could_stay() {
    let packed = inspected(&[file("a"), file("b")]).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plain = runtime.block_on(packed.transfer(Encoding::Plain)).unwrap();
    let gzip = runtime.block_on(packed.transfer(Encoding::Gzip)).unwrap();
    let mut unzipped = Vec::new();
    flate2::read::GzDecoder::new(&sent(&gzip)[..]).read_to_end(&mut unzipped).unwrap();
    assert_eq!(unzipped, sent(&plain));
    assert_eq!(plain.bytes, unzipped.len() as u64);
    for transfer in [plain, gzip, runtime.block_on(packed.transfer(Encoding::Zstd)).unwrap()] {
        let metadata = transfer.file.metadata().unwrap();
        assert_eq!((metadata.nlink(), metadata.mode() & 0o077), (0, 0), "{transfer:?}");
    }
}

/// Every path below `top` that is no link, with its content.
fn listing(top: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(top).unwrap() {
        let path = entry.unwrap().path();
        if path.symlink_metadata().unwrap().is_dir() {
            found.extend(listing(&path));
        } else {
            found.insert(path.to_string_lossy().into_owned(), fs::read(&path).unwrap_or_default());
        }
    }
    found
}

fn odd_path() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a", "b", "c", "a/b", "a/c", "b/a", "a/b/c", "b/a/c", "./a", "a//b", "../w", "a/../w", "/tmp/w", ".", "c/a",
    ])
}

fn odd_target() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        "..",
        "../..",
        "../w",
        "a/..",
        "a/../..",
        "b/../w",
        "../a/../..",
        ".",
        "../b",
        "a/b",
        "/tmp/w",
        "../../w",
        "c/../..",
    ])
}

fn odd_entry() -> impl Strategy<Value = Raw> {
    prop_oneof![
        odd_path().prop_map(file),
        odd_path().prop_map(dir),
        (odd_path(), odd_target()).prop_map(|(name, to)| link(name, to)),
        (odd_path(), odd_target()).prop_map(|(name, to)| hard(name, to)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_stays_inside(entries in prop::collection::vec(odd_entry(), 1..6)) {
        let Ok(packed) = inspected(&entries) else { return Ok(()) };
        let home = TempDir::new().unwrap();
        fs::write(home.path().join("w"), "outside").unwrap();
        unpack(&packed, home.path());
        let top = home.path().join("in").canonicalize().unwrap();
        let outside: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
        prop_assert_eq!(outside.len(), 2);
        prop_assert_eq!(fs::read(home.path().join("w")).unwrap(), b"outside");
        for path in listing(&top).keys() {
            if let Ok(real) = Path::new(path).canonicalize() {
                prop_assert!(real.starts_with(&top), "{} leads to {}", path, real.display());
            }
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_to_is_named_and_the_artifact_is_not_blamed() {
    let (home, artifact) = (TempDir::new().unwrap(), Path::new("a.tar"));
    let gone = tempfile::tempfile_in(home.path().join("gone")).unwrap_err();
    let error = ArtifactError::temporary(artifact, gone);
    let dir = std::env::temp_dir().display().to_string();
    let (text, hint) = (error.to_string(), error.hint());
    assert!(text.contains(&format!("in `{dir}`")) && text.contains("`a.tar`"), "{text}");
    assert!(error.is_of_this_machine() && hint.contains(&dir) && hint.contains("TMPDIR"), "{hint}");
    let full = ArtifactError::temporary(artifact, io::Error::from_raw_os_error(28));
    assert!(full.hint().starts_with("make room"), "{full:?}");
}

//! Servers of the pools, and what is sent to them.

use std::{io, path::PathBuf};

use super::{card, every, hosts::host_errors, read_aloud, text};
use crate::edge::{
    artifact::{ArtifactError, Format, Problem},
    server::{ServerError, What},
};

/// One of each, but for what a host says itself.
fn whats() -> Vec<(&'static str, What)> {
    let tail = || text("npm ERR! missing script: start");
    every!(What:
        What::Host(_) => What::Host(host_errors().remove(3).1),
        What::Artifact(_) => What::Artifact(ArtifactError::Missing { path: PathBuf::from("dist/web-2.0.tar.zst") }),
        What::Foreign { .. } => What::Foreign { journal: text("0f3a"), epoch: 12 },
        What::Fenced { .. } => What::Fenced { found: 31 },
        What::FenceLost => What::FenceLost,
        What::DamagedFence => What::DamagedFence,
        What::Busy => What::Busy,
        What::MissingTool { .. } => What::MissingTool { tool: text("zstd") },
        What::NoRoom { .. } => What::NoRoom { needed: 52_428_800, free: 1_048_576 },
        What::DiskFull { .. } => What::DiskFull { tail: text("tar: web/app.js: Cannot write: No space left on device") },
        What::Occupied => What::Occupied,
        What::Torn => What::Torn,
        What::SharedBehindLink { .. } => What::SharedBehindLink { path: text("uploads") },
        What::Unplaced => What::Unplaced,
        What::CurrentIsNoLink => What::CurrentIsNoLink,
        What::CommandSlow { .. } => What::CommandSlow { tail: tail() },
        What::CommandFailed { .. } => What::CommandFailed { status: 1, tail: tail() },
        What::Crashed { .. } => What::Crashed { how: text("restarting"), tail: text("shop-web.service: Main process exited") },
        What::Failed { .. } => What::Failed { name: "activate release", status: 2, tail: text("ln: Read-only file system") },
        What::Garbled { .. } => What::Garbled { said: text("Welcome to Ubuntu") },
        What::Unsendable { .. } => What::Unsendable { detail: text("the label holds a newline") },
    )
}

pub fn server_error(what: What) -> ServerError {
    ServerError { host: text("web2"), root: text("/srv/shop/web"), what }
}

#[test]
fn servers() {
    let cards: Vec<String> = whats()
        .into_iter()
        .map(|(name, what)| {
            let error = server_error(what);
            card(name, None, &error.to_string(), error.hint().as_deref())
        })
        .collect();
    insta::assert_snapshot!(read_aloud(&cards));
}

fn problems() -> Vec<(&'static str, Problem)> {
    every!(Problem:
        Problem::Absolute => Problem::Absolute,
        Problem::Parent => Problem::Parent,
        Problem::Nameless => Problem::Nameless,
        Problem::TooLong => Problem::TooLong,
        Problem::Leaves(_) => Problem::Leaves(text("../../etc")),
        Problem::Circle(_) => Problem::Circle(text("a")),
        Problem::Unknown(_) => Problem::Unknown(text("x/../y")),
        Problem::Target(_) => Problem::Target(text("later.js")),
        Problem::Behind(_) => Problem::Behind(text("public")),
        Problem::UnderFile(_) => Problem::UnderFile(text("app.js")),
        Problem::Twice => Problem::Twice,
        Problem::Special(_) => Problem::Special("a device"),
        Problem::Setuid => Problem::Setuid,
        Problem::Changed => Problem::Changed,
    )
}

fn path() -> PathBuf {
    PathBuf::from("dist/web-2.0.tar.zst")
}

/// One of each; the first of them is not there.
pub fn artifact_errors() -> Vec<(&'static str, ArtifactError)> {
    let temporary =
        |kind| ArtifactError::Temporary { path: path(), dir: PathBuf::from("/tmp"), source: io::Error::from(kind) };
    every!(ArtifactError:
        ArtifactError::Missing { .. } => ArtifactError::Missing { path: path() },
        ArtifactError::Unreadable { .. } => ArtifactError::Unreadable {
            path: path(), source: io::Error::from(io::ErrorKind::PermissionDenied),
        },
        ArtifactError::UnknownKind { .. } => ArtifactError::UnknownKind { path: PathBuf::from("dist/web.zip") },
        ArtifactError::Mismatch { .. } => ArtifactError::Mismatch { path: path(), named: Format::TarZst, holds: "gzip" },
        ArtifactError::Refused { .. } => ArtifactError::Refused {
            path: path(), entry: text("app/etc"), problem: Problem::Leaves(text("../../etc")),
        },
        ArtifactError::Damaged { .. } => ArtifactError::Damaged { path: path(), detail: text("unexpected end of file") },
        ArtifactError::Empty { .. } => ArtifactError::Empty { path: path() },
        ArtifactError::Temporary { .. } => temporary(io::ErrorKind::StorageFull),
        ArtifactError::Temporary { .. } => temporary(io::ErrorKind::PermissionDenied),
    )
}

#[test]
fn artifacts() {
    let refused = |(name, problem): (&'static str, Problem)| {
        let error = ArtifactError::Refused { path: path(), entry: text("app/etc"), problem };
        card(name, None, &error.to_string(), Some(&error.hint()))
    };
    let whole =
        |(name, error): (&'static str, ArtifactError)| card(name, None, &error.to_string(), Some(&error.hint()));
    let cards: Vec<String> =
        artifact_errors().into_iter().map(whole).chain(problems().into_iter().map(refused)).collect();
    insta::assert_snapshot!(read_aloud(&cards));
}

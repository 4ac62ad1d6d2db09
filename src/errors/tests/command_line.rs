//! The command line, the inventory, files.

use std::{io, path::PathBuf};

use bluegreen_core::inventory;

use super::{early, every, read_aloud, text};
use crate::{
    cli::CliError,
    engine::{Exit, Outcome},
};

/// Six different errors.
const WRONG: &str = r#"[site]
name = "shop"
journall = "file:.bg/shop"

[balancers]
hosts = ["lb1", "lb1"]
probe = "8474"

[pools.web]
port = 3000
blue = ["web1"]
green = []
drain = { timeout = "30 parsecs" }

[pools.web.deploy]
root = "/srv/shop/web"
artifact = "dist/web-{{ release }}.tar.zst"
restart = "systemctl restart shop-web"

[pools.web.health]
path = "/healthz"

[segments.mobile]
user_agent = "(?i)android|iphone|ipad("
"#;

fn findings() -> Box<inventory::Findings> {
    Box::new(inventory::parse("production", "inventory/production.toml", WRONG).unwrap_err())
}

#[test]
fn command_line() {
    let samples = every!(CliError:
        CliError::Usage { .. } => CliError::usage("no command was given", "`bg --help` lists them"),
        CliError::NoInventory { .. } => CliError::NoInventory {
            message: text("there is no inventory `inventory/prodution.toml`"), hint: text("did you mean `bg -i production …`?"),
        },
        CliError::Inventory { .. } => CliError::Inventory { file: text("inventory/production.toml"), findings: findings() },
        CliError::Templates { .. } => CliError::Templates {
            why: text("`nginx-templates/http.conf.tera` cannot be read: No such file or directory (os error 2)"),
        },
        CliError::Unrenderable { .. } => CliError::Unrenderable {
            why: text("`user_agent` of segment `mobile`: it holds a `$`, which nginx would read as a variable and which cannot be escaped"),
        },
        CliError::File { .. } => CliError::file("read", PathBuf::from("inventory/production.toml"))(io::Error::from(io::ErrorKind::PermissionDenied)),
        CliError::Ended(_) => CliError::Ended(Outcome::new(Exit::Refused, "the site is not set up yet, so nothing was touched")),
    );
    let cards: Vec<String> =
        samples.iter().map(|(name, error)| early(name.trim_start_matches("CliError::"), error)).collect();
    insta::assert_snapshot!(read_aloud(&cards));
}

#[test]
fn an_inventory_with_many_errors_in_colour() {
    let text = findings().render(true);
    assert!(text.contains('\x1b'));
    // Without the colours it is what is seen without them.
    let plain = String::from_utf8(strip(text.as_bytes())).unwrap();
    assert_eq!(plain, findings().render(false));
}

/// The text without its escape sequences.
fn strip(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            0x1b => while bytes.next().is_some_and(|byte| byte != b'm') {},
            byte => out.push(byte),
        }
    }
    out
}

#[test]
fn every_line_of_an_inventory_error_fits_a_terminal() {
    for line in findings().render(false).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

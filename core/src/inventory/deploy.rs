//! `[pools.NAME.deploy]`: how a release comes onto the pool's servers.

use super::reader::{Table, Value, Wrong};
use super::scalar;
use super::types::Deploy;
use super::words;

const DEFAULT_KEEP: usize = 10;
/// Two at least: the present release and the one to go back to.
const MIN_KEEP: u32 = 2;
const MAX_KEEP: u32 = 10_000;

/// The kind of deployment and the root with its template words (`None`: the default of kind b, or it was reported).
pub(super) fn deploy(pool: &Table<'_>) -> Option<(Deploy, Option<String>)> {
    let example =
        "`deploy = { root = \"/srv/shop/web\", artifact = \"dist/web.tar.zst\", restart = \"systemctl restart web\" }`";
    let table = pool.require("deploy", example)?.table()?;
    let run = table.get("run");
    let unpacks: Vec<Value<'_>> =
        ["artifact", "restart", "keep", "shared"].into_iter().filter_map(|key| table.get(key)).collect();
    let service = table.get("service").and_then(|value| value.string(service));
    let root_key = table.get("root");
    let deploy = match run {
        Some(run) => {
            for key in unpacks {
                let label = format!("`run` on line {} is another kind of deployment", run.line());
                key.wrong_key(
                    Wrong::new("excludes `run`", label).help("a pool has either `artifact` and `restart`, or `run`"),
                );
            }
            let root = root_key.and_then(|root| root.string(root_below_home));
            run.string(command).map(|run| (Deploy::Run { run, service }, root))
        }
        None if unpacks.is_empty() && root_key.is_none() => {
            table.wrong(Wrong::new("does not say how to deploy", "needs `root`, `artifact` and `restart`, or `run`"));
            None
        }
        None => {
            let (root, unpack) = unpack(&table, service);
            unpack.map(|unpack| (unpack, root))
        }
    };
    table.finish("pools.NAME.deploy");
    deploy
}

/// Kind a.
fn unpack(table: &Table<'_>, service: Option<String>) -> (Option<String>, Option<Deploy>) {
    let root = table.require("root", "`root = \"/srv/shop/web\"`").and_then(|value| value.string(root));
    let artifact = table
        .require("artifact", "`artifact = \"dist/web-{{ release }}.tar.zst\"`")
        .and_then(|value| value.string(artifact));
    let restart =
        table.require("restart", "`restart = \"systemctl restart shop-web\"`").and_then(|value| value.string(command));
    let keep = table.get("keep").and_then(|value| value.integer(MIN_KEEP..=MAX_KEEP));
    let shared = table.get("shared").and_then(|value| shared(&value)).unwrap_or_default();
    let keep = keep.map_or(DEFAULT_KEEP, |keep| keep as usize);
    let (Some(artifact), Some(restart)) = (artifact, restart) else { return (root, None) };
    (root, Some(Deploy::Unpack { artifact, restart, service, keep, shared }))
}

/// Paths that every release shares: relative, and none inside another.
fn shared(value: &Value<'_>) -> Option<Vec<String>> {
    let elements = value.array()?;
    let mut paths: Vec<(String, Value<'_>)> =
        elements.into_iter().filter_map(|element| Some((element.string(scalar::relative)?, element))).collect();
    let in_order = paths.iter().map(|(path, _)| path.clone()).collect();
    // Compared by component, so that what lies inside a path comes right behind it.
    paths.sort_by(|a, b| a.0.split('/').cmp(b.0.split('/')));
    let mut outer: Option<&str> = None;
    for (path, element) in &paths {
        let below = outer.and_then(|outer| Some((outer, path.strip_prefix(outer)?)));
        match below {
            Some((_, "")) => element.wrong(Wrong::new("names one path twice", "stands here already")),
            Some((outer, rest)) if rest.starts_with('/') => {
                element.wrong(Wrong::new("names one path inside another", format!("`{outer}` is shared as a whole")));
            }
            _ => outer = Some(path),
        }
    }
    Some(in_order)
}

/// A shell line of the user's, with template words.
fn command(text: &str) -> Result<String, Wrong> {
    let text = scalar::line(text)?;
    words::check(&text, &words::ALL)?;
    Ok(text)
}

/// A path on the operator's machine, with the words that are the same on every host.
fn artifact(text: &str) -> Result<String, Wrong> {
    let text = scalar::own_path(text)?;
    if let Some(at) = text.find("://") {
        return Err(Wrong::new("is not a path", "an artifact is a file or a directory on this machine").at(0..at + 3));
    }
    words::check(&text, &words::OF_RELEASE)?;
    Ok(text)
}

/// A systemd unit, with template words.
fn service(text: &str) -> Result<String, Wrong> {
    let text = scalar::line(text)?;
    words::check(&text, &words::ALL)?;
    let unit = with_sample_words(&text);
    let fits = |c: char| c.is_ascii_alphanumeric() || ":_.@\\-".contains(c);
    if unit.starts_with('-') || !unit.chars().all(fits) {
        return Err(Wrong::new("is not a systemd unit", "letters, digits and `: _ . @ \\ -`"));
    }
    Ok(text)
}

/// An absolute directory, with the words that do not change from release to release.
fn root(text: &str) -> Result<String, Wrong> {
    checked_root(text, scalar::directory)
}

/// The same, or a directory below the login user's home.
fn root_below_home(text: &str) -> Result<String, Wrong> {
    checked_root(text, scalar::home_or_directory)
}

fn checked_root(text: &str, check: impl Fn(&str) -> Result<String, Wrong>) -> Result<String, Wrong> {
    let text = scalar::line(text)?;
    words::check(&text, &words::OF_PLACE)?;
    let sample = with_sample_words(&text);
    // A place in the filled text is none in the written one.
    check(&sample).map_err(|wrong| if sample == text { wrong } else { wrong.whole() })?;
    Ok(text)
}

/// The text as it may look when filled, to check what stands between the words.
fn with_sample_words(text: &str) -> String {
    let word = |word: &str| word.to_owned();
    let sample = words::Words {
        release: word("r"),
        version: word("v1"),
        site: word("s"),
        pool: word("p"),
        half: word("blue"),
        host: word("h"),
        port: word("1"),
    };
    words::fill(text, &sample).unwrap_or_default()
}

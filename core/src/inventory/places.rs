//! The places of a pool's halves, and that no two of the site are the same.

use std::collections::HashMap;

use super::finding::quoted;
use super::reader::{Table, Value, Wrong};
use super::types::Place;
use super::words::{self, Words};
use super::{ranges, scalar, sections};
use crate::half::Half;

/// A site has at most this many places; more is taken for a slip in a range.
const MAX_PLACES: usize = 50_000;
/// nginx's own bound is higher; a server that counts as much as a thousand others is a slip.
const MAX_WEIGHT: u32 = 1_000;

/// One host of a half as it is written: the root is not known yet.
pub(super) struct Spot<'a> {
    host: String,
    address: String,
    port: Option<u16>,
    weight: u32,
    /// What to underline; shared by the hosts of one range.
    element: std::rc::Rc<Value<'a>>,
}

/// The hosts of one half, not many more than there is `room` for; `None` when it is missing or was reported.
pub(super) fn spots<'a>(pool: &Table<'a>, half: Half, room: usize) -> Option<Vec<Spot<'a>>> {
    let (key, example) = match half {
        Half::Blue => ("blue", "`blue = [\"web1\", \"web3\"]`"),
        Half::Green => ("green", "`green = [\"web2\", \"web4\"]`"),
    };
    let value = pool.require(key, example)?;
    let elements = value.array()?;
    if elements.is_empty() {
        value.wrong(Wrong::new("is empty", "each half needs at least one server"));
    }
    let mut spots = Vec::new();
    for element in elements {
        let element = std::rc::Rc::new(element);
        if element.is_table() {
            let Some(table) = element.table() else { continue };
            spots.extend(differing(&table, &element));
            table.finish("pools.NAME.blue");
        } else {
            let hosts = element.string(ranges::expand).into_iter().flatten();
            spots.extend(hosts.map(|host| Spot::new(host, None, &element)));
        }
        if spots.len() > room {
            break;
        }
    }
    Some(spots)
}

/// `{ host = …, address = …, port = …, weight = … }`.
fn differing<'a>(table: &Table<'a>, element: &std::rc::Rc<Value<'a>>) -> Vec<Spot<'a>> {
    let hosts = table.require("host", "`host = \"web4\"`").and_then(|host| host.string(ranges::expand));
    let address_key = table.get("address");
    let address = address_key.as_ref().and_then(|address| address.string(scalar::address));
    let port = table.get("port").and_then(|port| sections::port(&port));
    let weight = table.get("weight").and_then(|weight| weight.integer(1..=MAX_WEIGHT));
    let hosts = hosts.unwrap_or_default();
    if let Some(key) = address_key.filter(|_| hosts.len() > 1) {
        key.wrong(Wrong::new("is one address for several hosts", format!("`host` stands for {} hosts", hosts.len())));
        return Vec::new();
    }
    let spot = |host| Spot { port, weight: weight.unwrap_or(1), ..Spot::new(host, address.clone(), element) };
    hosts.into_iter().map(spot).collect()
}

impl<'a> Spot<'a> {
    fn new(host: String, address: Option<String>, element: &std::rc::Rc<Value<'a>>) -> Spot<'a> {
        let address = address.unwrap_or_else(|| host.clone());
        Spot { host, address, port: None, weight: 1, element: element.clone() }
    }

    /// Whether the place brings a port of its own.
    pub(super) fn has_port(&self) -> bool {
        self.port.is_some()
    }
}

/// What stands where so far, over all pools.
#[derive(Default)]
pub(super) struct Census {
    /// (address, port) → where it stands.
    addresses: HashMap<(String, u16), String>,
    /// (host, root) → where it stands.
    roots: HashMap<(String, String), String>,
    places: usize,
    full: bool,
}

/// What the places of one pool have in common.
pub(super) struct Common<'a> {
    pub(super) site: &'a str,
    pub(super) pool: &'a str,
    /// The pool's port, for places without one of their own; `None` only after it was reported.
    pub(super) port: Option<u16>,
    /// The root, with template words; `None` only after it was reported.
    pub(super) root: Option<&'a str>,
}

impl Census {
    /// How many more places the site may have.
    pub(super) fn room(&self) -> usize {
        MAX_PLACES.saturating_sub(self.places)
    }

    /// The checked places of one half; a place that stands somewhere already is reported.
    pub(super) fn places(&mut self, common: &Common<'_>, half: Half, spots: Vec<Spot<'_>>) -> Vec<Place> {
        spots.into_iter().filter_map(|spot| self.place(common, half, spot)).collect()
    }

    fn place(&mut self, common: &Common<'_>, half: Half, spot: Spot<'_>) -> Option<Place> {
        self.places += 1;
        if self.places > MAX_PLACES {
            if !std::mem::replace(&mut self.full, true) {
                spot.element.wrong(Wrong::new("is too many places", format!("a site has at most {MAX_PLACES}")));
            }
            return None;
        }
        let port = spot.port.or(common.port);
        let here = format!("in `pools.{}.{half}` on line {}", common.pool, spot.element.line());
        // A port that was reported as wrong counts as one of its own, so that repeated hosts are still found.
        let address = (spot.address.to_ascii_lowercase(), port.unwrap_or_default());
        if let Some(first) = self.addresses.get(&address) {
            let shown = port.map_or_else(|| spot.address.clone(), |port| format!("{}:{port}", joined(&spot.address)));
            let what = format!("names the server {} a second time", quoted(&shown));
            let wrong = Wrong::new(what, format!("the first one stands {first}"));
            spot.element.wrong(wrong.help("one server is one place; another server on the machine has another port"));
            return None;
        }
        self.addresses.insert(address, here.clone());
        let port = port?;
        let root = filled(common, half, &spot, port)?;
        if let Some(first) = self.roots.insert((spot.host.to_ascii_lowercase(), root.clone()), here) {
            let what = format!("uses the root {} on `{}` a second time", quoted(&root), spot.host);
            let wrong = Wrong::new(what, format!("the first place there stands {first}"));
            spot.element
                .wrong(wrong.help("tell them apart with `{{ half }}`, `{{ pool }}` or `{{ port }}` in `deploy.root`"));
        }
        Some(Place { host: spot.host, address: spot.address, port, weight: spot.weight, root })
    }
}

/// The place's root with its words filled in; what a word brought in may make it wrong.
fn filled(common: &Common<'_>, half: Half, spot: &Spot<'_>, port: u16) -> Option<String> {
    let words = Words {
        site: common.site.to_owned(),
        pool: common.pool.to_owned(),
        half: half.to_string(),
        host: spot.host.clone(),
        port: port.to_string(),
        ..Words::default()
    };
    let root = words::fill(common.root?, &words).ok()?;
    match scalar::home_or_directory(&root) {
        Ok(root) => Some(root),
        Err(wrong) => {
            spot.element.wrong(wrong.whole().help(format!("the root of this place would be {}", quoted(&root))));
            None
        }
    }
}

/// An address as it stands before a port.
fn joined(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

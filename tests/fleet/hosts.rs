//! The fleet that the tests use.

use bg_playground::{Fleet, skipped_unless_root};

use crate::desk::two_balancers;

/// A desk, clients, two balancers, one blue and one green server, set up on v1 and with v2 ready to be deployed. Silence
/// of two seconds counts as a dead host. None, said on the terminal, without root.
pub fn fleet(test: &str) -> Option<Fleet> {
    if skipped_unless_root(test) {
        return None;
    }
    let mut site = two_balancers().fleet().unwrap();
    site.edit_inventory(|text| text.replace("[ssh]\n", "[ssh]\nconnect_timeout = \"2s\"\n")).unwrap();
    site.setup("v1").unwrap().expect(0);
    site.release("v2").unwrap();
    Some(site)
}

//! bg's own directories and configuration on the balancers.

use std::collections::HashMap;

use bluegreen_core::{
    hex::hex,
    inventory::Inventory,
    nginx::conf::{Conf, RenderError, Templates, render},
};
use sha2::{Digest, Sha256};

use super::{Live, Trouble};
use crate::{
    edge::balancer::{Reloaded, two_phase},
    engine::{Doing, Failure, Progress},
};

/// Every balancer's http.conf and server.conf at one revision, by host.
///
/// # Errors
/// When a template or a value cannot be rendered.
pub fn render_all(
    inventory: &Inventory,
    templates: &Templates,
    revision: u64,
) -> Result<HashMap<String, Conf>, RenderError> {
    let each = inventory.balancers.iter();
    each.map(|b| Ok((b.host.clone(), render(inventory, b, revision, templates)?))).collect()
}

/// What the configuration says whatever its revision: sha256 (hex) over every balancer's files at revision 0.
///
/// # Errors
/// As [`render_all`].
pub fn conf_digest(inventory: &Inventory, templates: &Templates) -> Result<String, RenderError> {
    let all = render_all(inventory, templates, 0)?;
    let mut hash = Sha256::new();
    for balancer in &inventory.balancers {
        let conf = all.get(&balancer.host).map(Conf::digest).unwrap_or_default();
        hash.update(format!("{} {conf}\n", balancer.host));
    }
    Ok(hex(&hash.finalize()))
}

impl Live {
    pub(super) async fn create_dirs(&self) -> Result<Vec<String>, Failure> {
        let create = async |host: &str| self.balancers.create_dirs(host).await;
        match two_phase::all(self.each(["making bg's directories", "has them"], create).await) {
            Ok(_) => Ok(Vec::new()),
            Err(errors) => Err(Trouble::NoDirs(errors).into()),
        }
    }

    pub(super) async fn write_conf(&self, revision: u64) -> Result<Vec<String>, Failure> {
        let confs = render_all(&self.inventory, &self.templates, revision).map_err(Trouble::from)?;
        // `write_conf_all` asks for the inventory's balancers, which are the ones that were rendered.
        let conf = |host: &str| confs[host].clone();
        let written = self.balancers.write_conf_all(revision, conf).await.map_err(Trouble::from)?;
        let changed = written.iter().filter(|(_, changed)| *changed).count();
        Ok(vec![format!("changed on {changed} of {} balancers", written.len())])
    }

    pub(super) async fn reload_conf(&self, revision: u64) -> Result<Vec<String>, Failure> {
        let waits = "reloading, and waiting until no old worker accepts any more";
        self.progress(Progress::whole(Doing::Says(waits.to_owned())));
        let reloaded = self.balancers.reload_conf_all(revision).await.map_err(Trouble::from)?;
        let unwired = reloaded.iter().filter(|(_, how)| *how == Reloaded::NotWired);
        Ok(unwired
            .map(|(host, _)| format!("`{host}` does not include bg's files yet, so it was not reloaded"))
            .collect())
    }
}

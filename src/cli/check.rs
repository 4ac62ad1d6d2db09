//! `check`: the inventory, and with `--hosts` what it names.

use serde_json::json;

use super::{Context, answer::Answer, error::CliError};
use crate::engine::Exit;

/// Everything that is wrong with the inventory, then what it describes.
pub fn run(context: &Context) -> Result<Answer, CliError> {
    let located = context.inventory()?;
    let site = &located.inventory;
    let places: usize = site.pools.iter().map(|pool| pool.blue.len() + pool.green.len()).sum();
    let pools: Vec<&str> = site.pools.iter().map(|pool| pool.name.as_str()).collect();
    let message = format!(
        "`{}` is well-formed: site `{}`, {} balancers, pools {} with {places} servers",
        located.file,
        site.site,
        site.balancers.len(),
        pools.join(", ")
    );
    Ok(Answer::new(Exit::Done, message).hint("`bg check --hosts`").with("findings", json!([])))
}

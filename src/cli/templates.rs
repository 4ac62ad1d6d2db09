//! The templates of http.conf and server.conf: the inventory's own, or the built-in ones.

use std::fs;

use bluegreen_core::{
    inventory::Inventory,
    nginx::conf::{BUILTIN, RenderError, Templates, render},
};

use super::error::CliError;

/// Reads the templates and renders them once for every balancer, so that no command fails on them half-way.
/// `dir` is the inventory's `templates`, resolved.
pub fn load(dir: Option<std::path::PathBuf>, inventory: &Inventory) -> Result<Templates, CliError> {
    let templates = match &dir {
        None => Templates::default(),
        Some(dir) => {
            let read = |name: &str| {
                fs::read_to_string(dir.join(name)).map_err(|error| CliError::Templates {
                    why: format!("could not read `{}`: {error}", dir.join(name).display()),
                })
            };
            Templates::new(read(BUILTIN[0].0)?, read(BUILTIN[1].0)?)
        }
    };
    for balancer in &inventory.balancers {
        render(inventory, balancer, 1, &templates).map_err(|error| match error {
            error @ RenderError::Template { .. } => CliError::Templates { why: error.to_string() },
            error @ RenderError::Value { .. } => CliError::Unrenderable { why: error.to_string() },
        })?;
    }
    Ok(templates)
}

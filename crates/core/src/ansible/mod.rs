//! What Ansible says: its configuration, inventories, variables, templates and vaults. Knows no boards.

pub(crate) mod cfg;
pub(crate) mod hosts_file;
pub(crate) mod inventory;
pub(crate) mod range;
pub(crate) mod source;
pub(crate) mod template;
mod template_values;
mod template_work;
pub(crate) mod variables;
pub(crate) mod vault;

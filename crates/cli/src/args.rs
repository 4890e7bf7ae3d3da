//! The command line. Flags follow Ansible's where one exists.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// From bare Turing Pi boards and spare Linux machines to a GitOps Kubernetes cluster.
#[derive(Debug, Parser)]
#[command(
    name = "bringup",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  bringup rehearse                         all seven stages on an example, in a simulated world
  bringup rehearse -i SITE                 the same on your own site
  bringup plan -i SITE                     what differs from what should be; changes nothing
  bringup apply -i SITE --limit node03     asks once for what it may hurt, then acts
  bringup inventory -i SITE --graph        what was understood of the inventory
  bringup power status -i SITE node01      what its board says of its power

Stages, in their order, each a tag: tools flash known_hosts move_fs update_packages k3s cluster
(servers means move_fs and update_packages).

Exit status: 0 done or in sync, 1 a target failed, 2 wrong usage or a site with errors,
3 plan --exit-code found changes, 4 did not converge, 130 interrupted."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what differs from what should be, and what removing it could hurt. Changes nothing.
    Plan(Plan),
    /// Remove the differences, after asking once for what that could hurt.
    Apply(Apply),
    /// Play all stages on a site in a simulated world, without any hardware.
    Rehearse(Rehearse),
    /// Show what was understood of an inventory.
    Inventory(InventoryArguments),
    /// Follow a node's serial console through its board, until it is interrupted. On a terminal control characters are
    /// escaped; a file or a pipe gets every byte.
    Console(Console),
    /// Give nodes power, take it, or tell who has it, through their boards.
    #[command(subcommand)]
    Power(PowerCommand),
    /// What was fetched once, such as images: list it, or take it away.
    #[command(subcommand)]
    Cache(CacheCommand),
    /// What the stage `tools` wrote into your shells' start-up files: take it out again.
    Tools(Tools),
}

/// `tools`.
#[derive(Debug, Args)]
pub struct Tools {
    /// Take our marked blocks out of .bashrc and .zshrc. Tools, completions and helper scripts stay where they are.
    #[arg(long, required = true)]
    pub remove: bool,
}

/// `console`.
#[derive(Debug, Args)]
pub struct Console {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArguments,
    /// How to log in to the board.
    #[command(flatten)]
    pub login: LoginArguments,
    /// Whose console.
    #[arg(value_name = "NODE")]
    pub node: String,
}

/// `power`.
#[derive(Debug, Subcommand)]
pub enum PowerCommand {
    /// Give them power.
    On(PowerArguments),
    /// Take it from them.
    Off(PowerArguments),
    /// Take it from them, and give it back.
    Cycle(PowerArguments),
    /// Tell which have it.
    Status(PowerArguments),
}

/// Whose power.
#[derive(Debug, Args)]
pub struct PowerArguments {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArguments,
    /// How to log in to the boards.
    #[command(flatten)]
    pub login: LoginArguments,
    /// Which nodes.
    #[arg(value_name = "NODE", required = true)]
    pub nodes: Vec<String>,
    /// Take it from those too that live or may live, without asking.
    #[arg(short = 'y', long)]
    pub yes: bool,
}

/// `cache`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// List it, the longest unused first.
    List,
    /// Take it away; what is needed again is fetched again.
    Clean {
        /// Only what was not used for so many days.
        #[arg(long, value_name = "N", default_value_t = 0)]
        unused_days: u64,
    },
}

/// Which site.
#[derive(Clone, Debug, Args)]
pub struct SiteArguments {
    /// The site's directory or its hosts.yml; may be given more than once [default: what ANSIBLE_INVENTORY or ansible.cfg
    /// names, else this directory].
    #[arg(short = 'i', long, value_name = "SITE")]
    pub inventory: Vec<String>,
    /// Set a variable, stronger than the site: k=v, {json} or @file. May be given more than once.
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// File with the vault's password; an executable one is run for it [env: ANSIBLE_VAULT_PASSWORD_FILE].
    #[arg(long, value_name = "FILE")]
    pub vault_password_file: Option<PathBuf>,
    /// Ask for the vault's password.
    #[arg(short = 'J', long = "ask-vault-pass", conflicts_with = "vault_password_file")]
    pub ask_vault_pass: bool,
}

/// Which of its stages and hosts, and how.
#[derive(Clone, Debug, Args)]
pub struct RunArguments {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArguments,
    /// Only these hosts and groups: Ansible's patterns. A node brings its board along, not the other way round.
    #[arg(short = 'l', long, value_name = "HOSTS", value_parser = selection)]
    pub limit: Vec<String>,
    /// Only these stages.
    #[arg(short = 't', long, value_name = "TAGS", value_parser = selection)]
    pub tags: Vec<String>,
    /// Without these stages.
    #[arg(long, value_name = "TAGS", value_parser = selection)]
    pub skip_tags: Vec<String>,
    /// How many nodes are spoken to at the same moment [default: 64, or ansible.cfg's forks].
    #[arg(short = 'f', long, value_name = "N")]
    pub forks: Option<usize>,
    /// Let a changed host key replace the recorded one.
    #[arg(long)]
    pub accept_changed_host_keys: bool,
    /// Take over fields of the cluster's objects that somebody else owns and that differ from the site.
    #[arg(long)]
    pub force_conflicts: bool,
    /// One event a line, as JSON.
    #[arg(long)]
    pub json: bool,
    /// Show steps that are in sync too.
    #[arg(short = 'v', long, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How the real machines are logged in to.
#[derive(Clone, Debug, Args)]
pub struct LoginArguments {
    /// Ask for the SSH password.
    #[arg(short = 'k', long = "ask-pass")]
    pub ask_pass: bool,
    /// Ask for the password for sudo.
    #[arg(short = 'K', long = "ask-become-pass")]
    pub ask_become_pass: bool,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// What to plan.
    #[command(flatten)]
    pub run: RunArguments,
    /// How to log in.
    #[command(flatten)]
    pub login: LoginArguments,
    /// Exit with status 3 if there are changes.
    #[arg(long)]
    pub exit_code: bool,
    /// Show whole values; a line of more than 4096 characters loses its middle.
    #[arg(short = 'D', long)]
    pub diff: bool,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// What to apply.
    #[command(flatten)]
    pub run: RunArguments,
    /// How to log in.
    #[command(flatten)]
    pub login: LoginArguments,
    /// Approve exactly the hazards that are printed; what needs a name still needs it.
    #[arg(short = 'y', long)]
    pub yes: bool,
    /// Plan only.
    #[arg(short = 'C', long)]
    pub check: bool,
    /// Show whole values; a line of more than 4096 characters loses its middle.
    #[arg(short = 'D', long)]
    pub diff: bool,
}

/// `rehearse`.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// What to rehearse: the site, or where there is none the built-in example.
    #[command(flatten)]
    pub run: RunArguments,
    /// What the machines are like at the beginning [default: fresh if the site flashes, else installed].
    #[arg(long, value_enum)]
    pub from: Option<From>,
    /// Which faults and which small differences; the same seed tells the same story.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Let things go wrong.
    #[arg(long)]
    pub faults: bool,
    /// How many times faster than real time it is shown; 0 shows it at once [default: 200 on a terminal, else 0].
    #[arg(long, value_name = "TIMES", value_parser = speed)]
    pub speed: Option<f64>,
    /// Stop after the plan.
    #[arg(long)]
    pub plan_only: bool,
    /// Show whole values; a line of more than 4096 characters loses its middle.
    #[arg(short = 'D', long)]
    pub diff: bool,
}

/// What the machines of a rehearsal are like at its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum From {
    /// Modules are blank; other machines run their operating system.
    Fresh,
    /// Every machine runs its operating system, nothing is configured, and the host keys are known.
    Installed,
    /// A first run has done everything.
    Built,
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Fresh => "with blank modules",
            Self::Installed => "with operating systems installed and nothing configured",
            Self::Built => "with everything built",
        })
    }
}

/// `inventory`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("shape").required(true))]
pub struct InventoryArguments {
    /// Which site.
    #[command(flatten)]
    pub site: SiteArguments,
    /// As JSON, in the shape of `ansible-inventory --list`.
    #[arg(long, group = "shape")]
    pub list: bool,
    /// As a tree of groups and hosts.
    #[arg(long, group = "shape")]
    pub graph: bool,
    /// One host's variables, as JSON.
    #[arg(long, value_name = "NAME", group = "shape")]
    pub host: Option<String>,
    /// Leave templates as they are written.
    #[arg(long)]
    pub raw: bool,
}

/// A selection that names something: `--limit "$NODE"` without the variable must not mean every host.
fn selection(text: &str) -> Result<String, String> {
    if bringup_core::site::is_empty_selection(text) {
        Err("nothing is named; leave the option out to select everything".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// A speed that a clock can be run at.
fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "a number, such as 200".to_owned())?;
    if speed == 0.0 || (0.01..=1e9).contains(&speed) {
        Ok(speed)
    } else {
        Err("0, or from 0.01 to 1000000000".to_owned())
    }
}

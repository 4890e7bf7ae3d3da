//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::services::repository::Fault;
use crate::testbed::check_name;

/// Real Debian hosts for tests, in containers on a bridge of their own
#[derive(Debug, Parser)]
#[command(name = "testbed", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Which testbed
    #[arg(long, global = true, default_value = "default", value_parser = check_name)]
    pub name: String,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make hosts, start them and wait until they are ready
    Up(Up),
    /// Stop and remove everything that the records name
    Down,
    /// Remove what killed test runs have left: their processes, and testbeds whose owner no longer lives; nothing else
    Clean,
    /// Print what state everything is in: hosts, their journals, the testbed's own logs, boards, the cluster
    State,
    /// Print the path of the site: an Ansible inventory of the hosts
    Site,
    /// Make the programs, images and systems that are not made yet, and print the name and path of each of a cluster's
    Programs,
    /// Print a line for each host: name, address, state with what is broken, how to log in
    List,
    /// Run a command inside a host as root, without its network
    Exec(Exec),
    /// Take a host's power away; what it has written stays
    Cut(Which),
    /// Start a host and wait until it is ready
    Start(Which),
    /// Tell a host to power off, and wait until it has
    Stop(Which),
    /// Make a host new: cut, forget what it has changed, start
    Reset(Which),
    /// Break something in a host or at a board
    Break(Breaking),
    /// Fix it
    Fix(Breaking),
    /// Commit to the git repository that the cluster syncs, and print the commit's id
    GitCommit(GitCommit),
    /// Keep a host's container running (started by the testbed itself)
    #[command(hide = true)]
    Run(Which),
    /// Stand in for bmcd (started on a board's BMC)
    #[command(hide = true)]
    Bmcd(Bmcd),
    /// Give hosts addresses, names and packages (started by the testbed itself)
    #[command(hide = true)]
    Serve,
}

/// `testbed up`.
#[derive(Debug, Args)]
pub struct Up {
    /// How many nodes that are in no board, called node01 and so on [default: 1, with boards 0]
    #[arg(long)]
    pub nodes: Option<usize>,
    /// How many boards, called board1 and so on: a BMC each, and modules that are flashed through it
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub boards: u8,
    /// How many of a board's four slots have a module; their nodes are counted on from the others
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub slots: u8,
    /// This slot of each board has a CM4; the others have RK1s
    #[arg(long, value_name = "SLOT", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub cm4: Vec<u8>,
    /// Each host has two disks, and its root on the first
    #[arg(long)]
    pub disks: bool,
    /// Hosts can be nodes of a cluster, and what a cluster wants is served beside them
    #[arg(long)]
    pub kubernetes: bool,
    /// The testbed belongs to this process: `testbed clean` takes it down when the process has ended
    #[arg(long, value_name = "PID")]
    pub owner: Option<i32>,
    /// One more host, a workstation
    #[arg(long, value_name = "HOST", value_parser = check_name)]
    pub workstation: Vec<String>,
}

/// `testbed git-commit`.
#[derive(Debug, Args)]
pub struct GitCommit {
    /// Break what the cluster runs; without it, fix all that is broken
    #[arg(long = "break", value_name = "WHAT", value_enum)]
    pub fault: Option<Fault>,
}

/// `testbed bmcd`.
#[derive(Debug, Args)]
pub struct Bmcd {
    /// The board's directory
    #[arg(long)]
    pub board: PathBuf,
    /// Where to listen
    #[arg(long, default_value = "[::]:443")]
    pub listen: SocketAddr,
    /// The password of root
    #[arg(long, default_value = "turing")]
    pub password: String,
}

/// Which host.
#[derive(Debug, Args)]
pub struct Which {
    /// The host
    pub host: String,
}

/// `testbed exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// The host
    pub host: String,
    /// The command and its arguments
    #[arg(required = true, last = true)]
    pub command: Vec<String>,
}

/// `testbed break` and `testbed fix`.
#[derive(Debug, Args)]
pub struct Breaking {
    /// The host, or the board
    pub host: String,
    /// What; of a board: usb-not-found, usb-hub, worker-stuck, wrong-bytes, power-cut, slow, msd-late, msd-letter, never-boots,
    /// uart-text, bmcd-dead, sd-missing, sd-full
    pub what: String,
    /// How often, where or what, as the fault is
    pub value: Option<String>,
    /// At one slot of the board only
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub slot: Option<u8>,
}

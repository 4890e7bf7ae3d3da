//! What people really have: sites made after public reports, each with what ought to come out of it, by the real binary.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HOSTS: &str = "\
controller:
  hosts:
    localhost:
      ansible_connection: local
turing_pis:
  hosts:
    turingpi:
turingpi_nodes:
  hosts:
    node01:
      slot_num: 1
      type: pi4
    node02:
      slot_num: 2
      type: rk1
      root_dev: /dev/nvme0n1
extra_nodes:
  hosts:
    nuc1:
all_nodes:
  children:
    turingpi_nodes:
    extra_nodes:
";
const VARIABLES: &str = "\
ansible_account: ansible
tpi_user: root
local_domain: .invalid
control_plane: node01
cluster_domain: k3s.example.org
domain_email: me@example.org
repo_remote: https://git.example.org/me/site.git
";

/// A site in a directory of its own, with an empty home beside it.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        site.write("hosts.yml", HOSTS);
        site.write("group_vars/all.yml", VARIABLES);
        site.write(
            "pub_keys/me.pub",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA me\n",
        );
        site
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join("site").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// One piece of the hosts file or of the variables is another.
    fn with(self, from: &str, to: &str) -> Self {
        for (path, text) in [("hosts.yml", HOSTS), ("group_vars/all.yml", VARIABLES)] {
            if text.contains(from) {
                self.write(path, &text.replace(from, to));
                return self;
            }
        }
        panic!("no such piece: {from}");
    }

    fn with_more(self, path: &str, text: &str) -> Self {
        let at = self.0.path().join("site").join(path);
        let before = fs::read_to_string(&at).unwrap();
        fs::write(at, before + text).unwrap();
        self
    }

    fn without(self, path: &str) -> Self {
        fs::remove_file(self.0.path().join("site").join(path)).unwrap();
        self
    }

    fn run(&self, directory: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bringup"));
        command.args(arguments).current_dir(directory).env_clear().env("HOME", self.0.path()).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// What a rehearsal's plan says, with what it says of the site.
    fn plan(&self, more: &[&str]) -> String {
        let site = self.0.path().join("site");
        let run =
            self.run(self.0.path(), &[&["rehearse", "--plan-only", "-v", "-i", site.to_str().unwrap()], more].concat());
        said(&run)
    }

    fn host(&self, name: &str) -> serde_json::Value {
        let site = self.0.path().join("site");
        let run = self.run(self.0.path(), &["inventory", "--host", name, "-i", site.to_str().unwrap()]);
        serde_json::from_slice(&run.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&run)))
    }
}

fn said(run: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr))
}

#[test]
fn all_nodes_decides_who_is_a_node() {
    let plan = Site::new().plan(&[]);
    assert!(plan.contains("nuc1") && plan.contains("node02"), "{plan}");

    let left_out = Site::new().with("    turingpi_nodes:\n    extra_nodes:\n", "    turingpi_nodes:\n");
    let plan = left_out.plan(&[]);
    assert!(plan.contains("nuc1 is not in `all_nodes`: nothing is done on it"), "{plan}");
    assert_eq!(plan.matches("nuc1").count(), 1, "{plan}");

    let flashed =
        Site::new().with("    turingpi_nodes:\n    extra_nodes:\n", "    extra_nodes:\n  hosts:\n    node01:\n");
    let plan = flashed.plan(&["-e", "do_flash=true", "--from", "fresh"]);
    assert!(plan.contains("node02 is not in `all_nodes`: it is flashed at most, and does not become a node"), "{plan}");
    assert!(plan.contains("erase eMMC of node02") && !plan.contains("reboot node02"), "{plan}");

    // By whatever way it is in the group.
    let other =
        Site::new().with("    extra_nodes:\n", "    spare:\n").with_more("hosts.yml", "spare:\n  hosts:\n    nuc2:\n");
    let plan = other.plan(&[]);
    assert!(plan.contains("nuc2") && plan.contains("nuc1 is not in `all_nodes`"), "{plan}");

    let everybody = Site::new().with("all_nodes:\n  children:\n    turingpi_nodes:\n    extra_nodes:\n", "");
    assert!(everybody.plan(&[]).contains("warning: there is no group `all_nodes`"));
    for (group, what) in [("turing_pis", "`turingpi` is a BMC"), ("controller", "`localhost` is the controller")] {
        let site =
            Site::new().with("    turingpi_nodes:\n    extra_nodes:\n", &format!("    extra_nodes:\n    {group}:\n"));
        let plan = site.plan(&[]);
        assert!(plan.contains(&format!("error: {what} and cannot be in `all_nodes`")), "{plan}");
    }
}

#[test]
fn values_are_read_or_refused_in_words() {
    for (from, to, expected) in [
        ("node01:\n      slot_num", "Node01:\n      slot_num", "`Node01` cannot be the name of a Kubernetes node"),
        ("    nuc1:\n", "    rpi_node1:\n", "help: call it `rpi-node1`"),
        (
            "    nuc1:\n",
            "    nuc1.home.example:\n",
            "help: call it `nuc1`, and set its ansible_host to nuc1.home.example",
        ),
        (
            "    nuc1:\n",
            "    192.0.2.81:\n",
            "help: give it a name such as node01, and set its ansible_host to 192.0.2.81",
        ),
        ("/dev/nvme0n1", "/dev/nvme0n1p2", "that is a partition: the root moves to a whole disk, such as /dev/nvme0n1"),
        ("/dev/nvme0n1", "/dev/sda1", "such as /dev/sda"),
        ("/dev/nvme0n1", "/dev/disk/by-id/nvme-x-part1", "such as /dev/disk/by-id/nvme-x"),
        ("    nuc1:\n", "    nuc1:\n      ansible_host: pi@192.0.2.5\n", "the account belongs into ansible_user"),
        ("    nuc1:\n", "    nuc1:\n      ansible_host: 192.0.2.5:2222\n", "the port belongs into ansible_port"),
        ("    nuc1:\n", "    nuc1:\n      ansible_host: 300.1.1.1\n", "an IPv4 address has four numbers from 0 to 255"),
        ("local_domain: .invalid", "local_domain: lan", "help: `.lan`: it is put behind names as it stands"),
        ("cluster_domain: k3s", "cluster_domain: https://k3s", "`cluster_domain` is a DNS name such as `example.org`"),
        ("control_plane", "k3s_version: stable\ncontrol_plane", "help: such as v1.33.6+k3s1; leave it out for that"),
    ] {
        let plan = Site::new().with(from, to).plan(&[]);
        assert!(plan.contains("error:") && plan.contains(expected), "{to}: {plan}");
    }
    for variable in ["repo_remote", "cluster_domain", "domain_email"] {
        let line = VARIABLES.lines().find(|line| line.starts_with(variable)).unwrap();
        let site = Site::new().with(line, &format!("{variable}: \"\""));
        let plan = site.plan(&[]);
        assert!(plan.contains(&format!("`{variable}` is not set, and the stage `cluster` needs it")), "{plan}");
        assert!(site.plan(&["--skip-tags", "cluster"]).contains("Plan:"));
    }
    let line = VARIABLES.lines().find(|line| line.starts_with("repo_remote")).unwrap();
    let nothing = Site::new().with(line, "cluster_install_list: []").plan(&[]);
    assert!(nothing.contains("Plan:"), "what nothing uses need not be set: {nothing}");
    let in_list = Site::new().with("control_plane", "ssh_public_keys: \"{{ [admin_kye] }}\"\ncontrol_plane").plan(&[]);
    assert!(in_list.contains("variable `admin_kye` is not defined"), "{in_list}");
    for (from, to) in [
        ("control_plane", "k3s_version: \"\"\ncontrol_plane"),
        ("    nuc1:\n", "    nuc1:\n      ansible_host: fe80::1%eth0\n"),
        ("    nuc1:\n", "    nuc1:\n      ansible_user: \"\"\n"),
        ("/dev/nvme0n1", "/dev/disk/by-id/nvme-Samsung_SSD_980_S64A"),
        ("/dev/nvme0n1", "/dev/mmcblk0"),
        ("repo_remote", "repo_branch:\tmain\nrepo_remote"),
    ] {
        let plan = Site::new().with(from, to).plan(&[]);
        assert!(!plan.contains("error:") && plan.contains("Plan:"), "{to}: {plan}");
    }
}

#[test]
fn kinds_of_modules_are_read_in_any_case() {
    for kind in ["RK1", "turing-rk1", "Rk1"] {
        let plan = Site::new().with("type: rk1", &format!("type: {kind}")).plan(&["-e", "do_flash=true"]);
        assert!(plan.contains("turingpi/rk1_images"), "{kind}: {plan}");
    }
    let plan = Site::new().with("type: pi4", "type: CM4").plan(&["-e", "do_flash=true"]);
    assert!(plan.contains("turingpi/cm4_images"), "{plan}");
}

#[test]
fn what_would_change_the_way_or_the_account_is_named() {
    let site = Site::new().with(
        "    nuc1:\n",
        "    nuc1:\n      ansible_ssh_args: -o ProxyCommand=x\n      ansible_become: false\n      ansible_become_user: op\n      \
         ansible_become_exe: doas\n      ansible_become_flags: -H\n",
    );
    site.write(
        "ansible.cfg",
        "[defaults]\nhash_behaviour = merge\nvault_identity_list = a@b\n[privilege_escalation]\nbecome_method = su\n\
         become_user = op\n[ssh_connection]\nssh_args = -C\n",
    );
    let plan = site.plan(&[]);
    for named in [
        "ansible_ssh_args of nuc1 is not followed",
        "ansible_become: false of nuc1 is not followed",
        "ansible_become_user `op` of nuc1 is not followed",
        "ansible_become_exe of nuc1 is not followed",
        "ansible_become_flags of nuc1 is not followed",
        "hash_behaviour is not followed",
        "vault_identity_list is not followed",
        "become_method `su` is not followed",
        "become_user `op` is not followed",
        "ssh_args is not followed",
    ] {
        assert!(plan.contains(named), "{named}: {plan}");
    }
}

#[test]
fn inventories_are_found_wherever_they_are_named() {
    let more = "extra_nodes:\n  hosts:\n    nuc9:\n";
    let in_directory = Site::new();
    in_directory.write("90-more.yml", more);
    in_directory.write("playbook.yml", "- hosts: all\n  tasks: []\n");
    assert!(in_directory.plan(&[]).contains("nuc9"));

    let listed = Site::new();
    listed.write("more/other.yml", more);
    listed.write("ansible.cfg", "[defaults]\ninventory = hosts.yml, more/other.yml\n");
    let run = listed.run(&listed.0.path().join("site"), &["rehearse", "--plan-only", "-v"]);
    assert!(said(&run).contains("nuc9"), "{}", said(&run));

    let ini = Site::new().without("hosts.yml");
    ini.write("hosts.ini", "[turing_pis]\nturingpi\n");
    for name in ["", "/hosts.ini"] {
        let site = format!("{}/site{name}", ini.0.path().display());
        let run = ini.run(ini.0.path(), &["rehearse", "--plan-only", "-i", &site]);
        assert!(said(&run).contains("hosts.ini is an INI inventory, which bringup does not read"), "{}", said(&run));
        assert!(
            said(&run).contains("--list --yaml --output hosts.yml") && said(&run).contains("1 error."),
            "{}",
            said(&run)
        );
    }
}

#[test]
fn nothing_of_a_directory_is_read_or_left_out_in_silence() {
    let two = Site::new();
    two.write("90-more.yml", "extra_nodes:\n  hosts:\n    nuc9:\n");
    assert!(two.plan(&[]).contains("90-more.yml") && two.plan(&[]).contains("the inventory is"), "{}", two.plan(&[]));
    for (name, text, why) in [
        ("90-more.yml", "extra_nodes:\n  hosts: [\n", "90-more.yml is not read: invalid YAML"),
        ("90-more.yml", "$ANSIBLE_VAULT;1.1;AES256\n3131\n", "90-more.yml is not read: it is sealed"),
        ("more.ini", "[extra_nodes]\nnuc9\n", "more.ini is not read: it is an INI inventory"),
    ] {
        let site = Site::new();
        site.write(name, text);
        assert!(site.plan(&[]).contains(why), "{why}: {}", site.plan(&[]));
    }
}

#[test]
fn the_controller_is_never_rebooted_whatever_its_connection_is_called() {
    for way in ["local", "ansible.builtin.local"] {
        let plan = Site::new().with("    nuc1:\n", &format!("    nuc1:\n      ansible_connection: {way}\n")).plan(&[]);
        assert!(plan.contains("nuc1") && !plan.contains("! reboot nuc1"), "{way}: {plan}");
    }
}

#[test]
fn what_was_built_before_is_the_whole_site() {
    let plan = Site::new().plan(&["--limit", "node02", "--from", "built"]);
    let changes = plan.lines().filter(|line| line.trim_start().starts_with(['~', '!', '?', '+', '-']));
    assert!(plan.contains("= k3s_agent") && changes.count() == 0, "{plan}");
}

#[test]
fn extra_variables_are_taken_as_they_are() {
    let site = Site::new();
    let directory = site.0.path().join("site");
    for (given, name, value) in [("x=pa\\ss", "x", "pa\\ss"), ("a=1 b='# 2'", "b", "# 2"), ("a=1 #b=2", "#b", "2")] {
        let run = site.run(&directory, &["inventory", "--host", "nuc1", "-e", given]);
        let host: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(host[name], value, "{given}");
    }
    let run = site.run(&directory, &["inventory", "--host", "nuc1", "-e", "x='a"]);
    assert!(said(&run).contains("a quote is not closed"), "{}", said(&run));
}

#[test]
fn what_follows_from_an_unreadable_file_is_not_said() {
    let plan = Site::new().with("cluster_domain: k3s", "cluster_domain: {{ x }}.k3s").plan(&[]);
    assert!(plan.contains("a value that begins with a template wants quotes"), "{plan}");
    assert!(plan.contains("1 error."), "{plan}");
}

#[test]
fn a_site_that_one_stands_in_is_rehearsed() {
    let site = Site::new();
    let run = site.run(&site.0.path().join("site"), &["rehearse", "--plan-only"]);
    assert!(said(&run).starts_with("Rehearsing site in a simulated world"), "{}", said(&run));
    assert!(
        said(&run).contains("do_flash is false") && said(&run).contains("operating systems installed"),
        "{}",
        said(&run)
    );
    let built = site.run(&site.0.path().join("site"), &["rehearse", "--plan-only", "--from", "built"]);
    assert!(said(&built).contains("Nothing to change"), "{}", said(&built));
    let named = site.run(site.0.path(), &["rehearse", "--plan-only", "-i", "."]);
    assert!(said(&named).contains("there is no hosts.yml in ."), "{}", said(&named));
    let run = site.run(site.0.path(), &["rehearse", "--plan-only"]);
    assert!(said(&run).contains("Rehearsing turing-pi") && said(&run).contains("do_flash is true"), "{}", said(&run));
}

#[test]
fn variables_are_those_of_ansible() {
    let site = Site::new().with(
        "    nuc1:\n",
        "    nuc1:\n      mail: \"{{ admin | default(le_mail) | default('me@example.org') }}\"\n      \
         other: \"{{ site.mail | default('you@example.org') }}\"\n",
    );
    let host = site.host("nuc1");
    assert_eq!((host["mail"].as_str(), host["other"].as_str()), (Some("me@example.org"), Some("you@example.org")));
    let site = Site::new().with("    nuc1:\n", "    nuc1:\n      ansible_port: \"{{ p | default(omit) }}\"\n");
    assert!(!site.plan(&[]).contains("error:"));
}

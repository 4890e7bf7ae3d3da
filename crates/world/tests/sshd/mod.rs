//! A real sshd on loopback, with keys of its own, gone when it is dropped.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// It runs as whoever runs the test, and lets that account in.
pub struct Sshd {
    pub port: u16,
    pub user: String,
    directory: tempfile::TempDir,
    child: Child,
}

/// An agent that holds some of the keys.
pub struct Agent {
    pub socket: PathBuf,
    child: Child,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Sshd {
    /// Starts one with these lines added to its configuration.
    pub fn start(more: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        for (name, passphrase) in [("host", ""), ("key", ""), ("other", ""), ("sealed", "open sesame")] {
            run(Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f"])
                .arg(file(name)));
        }
        let mut let_in = std::fs::read_to_string(file("key.pub")).unwrap();
        let_in.push_str(&std::fs::read_to_string(file("sealed.pub")).unwrap());
        std::fs::write(file("authorized_keys"), let_in).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let configuration = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\n\
             PidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin prohibit-password\nPasswordAuthentication no\n{more}\n",
            directory.path().display()
        );
        std::fs::write(file("sshd_config"), configuration).unwrap();
        // sshd wants its privilege separation directory, which a package's service makes at boot.
        let _ = std::fs::create_dir_all("/run/sshd");
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(file("sshd_config"))
            .stderr(std::fs::File::create(file("log")).unwrap())
            .spawn()
            .unwrap();
        let whoami = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(whoami.stdout).unwrap().trim().to_owned();
        let sshd = Self { port, user, directory, child };
        until("sshd", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        sshd
    }

    /// A file of its directory: `key` is let in, `other` is not, `sealed` has a passphrase.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// An agent with these keys.
    pub fn agent(&self, keys: &[&str]) -> Agent {
        let socket = self.file("agent");
        let child = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        until("ssh-agent", || socket.exists());
        for key in keys {
            run(Command::new("ssh-add").arg("-q").arg(self.file(key)).env("SSH_AUTH_SOCK", &socket));
        }
        Agent { socket, child }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! Starts a real PostgreSQL server for tests: Debian's package, on a reserved loopback port, with its data in a temporary
//! folder. Dropping the handle stops the server and deletes the folder. PostgreSQL refuses to run as root, so tests that run
//! as root start it as the user `postgres` of the package.

#![allow(dead_code, reason = "each test binary uses only a part of this module")]

#[path = "port.rs"]
mod port;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The folder with the programs of the newest installed version; Debian does not put it on the PATH.
pub(crate) fn programs() -> PathBuf {
    let mut found: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|d| Some((d.file_name().to_str()?.parse().ok()?, d.path().join("bin"))))
        .filter(|(_, bin)| bin.join("initdb").exists())
        .collect();
    found.sort();
    match found.pop() {
        Some((_, bin)) => bin,
        None => panic!("PostgreSQL is not installed; run ./scripts/test, which installs it (Debian package: postgresql)"),
    }
}

fn is_root() -> bool {
    user_id() == 0
}

fn user_id() -> u32 {
    let output = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

/// A command for a program of the server, as a user that may run it.
fn server_program(name: &str) -> Command {
    let program = programs().join(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}

/// A PostgreSQL server for one test.
pub(crate) struct Pg {
    folder: PathBuf,
    pub port: u16,
    child: Option<Child>,
}

impl Pg {
    /// Creates a database cluster and starts the server.
    pub(crate) fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("warroom-pg-{}-{:?}", std::process::id(), std::thread::current().id()));
        let folder = PathBuf::from(folder.display().to_string().replace(['(', ')'], ""));
        let _not_found = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        if is_root() {
            assert!(
                Command::new("chown").arg("postgres:").arg(&folder).status().unwrap().success(),
                "cannot change the owner of the folder to the user postgres"
            );
        }
        let output = server_program("initdb")
            .args(["-A", "trust", "-U", "warroom", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        let port = port::reserve();
        let mut pg = Self { folder, port, child: None };
        pg.start_server();
        pg
    }

    /// Starts the server, also after it was stopped, and waits until it accepts connections.
    pub(crate) fn start_server(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("server.log")).unwrap();
        let child = server_program("postgres")
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-k"])
            .arg(&self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let start = Instant::now();
        while !self.is_ready() {
            assert!(start.elapsed() < Duration::from_mins(1), "PostgreSQL did not start within 60 s: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Enables TLS with a certificate and creates a role that may log in only over TLS and with its password. Restarts the
    /// server.
    pub(crate) fn enable_tls(&mut self, certificate: &str, key: &str, role: &str, password: &str) {
        self.sql(&format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{password}'"));
        self.shut_down();
        let data = self.folder.join("data");
        let add_to_file = |name: &str, text: &str| {
            let path = data.join(name);
            let existing = std::fs::read_to_string(&path).unwrap_or_default();
            // The first matching line of pg_hba.conf applies, so the new lines go first.
            let contents = if name == "pg_hba.conf" { format!("{text}{existing}") } else { format!("{existing}{text}") };
            std::fs::write(&path, contents).unwrap();
        };
        add_to_file(
            "pg_hba.conf",
            &format!("hostssl all {role} 127.0.0.1/32 scram-sha-256\nhost all {role} 127.0.0.1/32 reject\n"),
        );
        add_to_file("postgresql.conf", "\nssl = on\n");
        add_to_file("server.crt", certificate);
        add_to_file("server.key", key);
        let files: Vec<PathBuf> = ["server.crt", "server.key"].iter().map(|f| data.join(f)).collect();
        assert!(Command::new("chmod").arg("600").args(&files).status().unwrap().success());
        if is_root() {
            assert!(Command::new("chown").arg("postgres:").args(&files).status().unwrap().success());
        }
        self.start_server();
    }

    fn is_ready(&self) -> bool {
        let mut command = Command::new(programs().join("pg_isready"));
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "warroom", "-d", "postgres"]);
        command.status().unwrap().success()
    }

    fn signal(&mut self, name: &str) {
        if let Some(mut child) = self.child.take() {
            let _already_exited = Command::new("kill").args([name, &child.id().to_string()]).status();
            let _reaped = child.wait();
        }
    }

    /// Stops the server without a checkpoint, as in a power failure.
    pub(crate) fn crash(&mut self) {
        self.signal("-QUIT");
    }

    /// Shuts the server down cleanly and closes open connections.
    pub(crate) fn shut_down(&mut self) {
        self.signal("-INT");
    }

    /// The log of the server.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://warroom@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs SQL with psql; returns its output. Panics when it fails.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let output = Command::new(programs().join("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "warroom", "-d", "postgres", "-qAtc", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Pg {
    fn drop(&mut self) {
        self.signal("-QUIT");
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

//! A real PostgreSQL for tests: Debian's, on a free loopback port, in a folder of its own, ended with its handle. The server
//! refuses to run as root: then it runs as the unprivileged user that the package made.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The newest installed server's programs; Debian keeps them out of the PATH.
pub fn programs() -> PathBuf {
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
        None => panic!("PostgreSQL is not installed: ./scripts/test installs it (Debian: postgresql)"),
    }
}

fn is_root() -> bool {
    rustix_uid() == 0
}

fn rustix_uid() -> u32 {
    let output = Command::new("id").arg("-u").output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

/// A program of the server, as the user that may run it.
fn server_program(name: &str) -> Command {
    let program = programs().join(name);
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}

/// See the module's words.
pub struct Pg {
    folder: PathBuf,
    pub port: u16,
    child: Option<Child>,
}

impl Pg {
    /// Makes a cluster and starts it.
    pub fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("warroom-pg-{}-{:?}", std::process::id(), std::thread::current().id()));
        let folder = PathBuf::from(folder.display().to_string().replace(['(', ')'], ""));
        let _none = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        if is_root() {
            assert!(
                Command::new("chown").arg("postgres:").arg(&folder).status().unwrap().success(),
                "the user postgres is missing"
            );
        }
        let output = server_program("initdb")
            .args(["-A", "trust", "-U", "warroom", "-E", "UTF8", "--no-locale", "--no-sync", "-D"])
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut pg = Self { folder, port, child: None };
        pg.up();
        pg
    }

    /// Starts the server (again) and waits until it answers.
    pub fn up(&mut self) {
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
        while !self.answers() {
            assert!(start.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Serves TLS with this certificate, and lets a role in with its password only; restarts the server.
    pub fn secure(&mut self, certificate: &str, key: &str, role: &str, password: &str) {
        self.sql(&format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{password}'"));
        self.down();
        let data = self.folder.join("data");
        let append = |name: &str, text: &str| {
            let path = data.join(name);
            let before = std::fs::read_to_string(&path).unwrap_or_default();
            // In the list of who may come in the first line that fits counts.
            let whole = if name == "pg_hba.conf" { format!("{text}{before}") } else { format!("{before}{text}") };
            std::fs::write(&path, whole).unwrap();
        };
        append("pg_hba.conf", &format!("hostssl all {role} 127.0.0.1/32 scram-sha-256\nhost all {role} 127.0.0.1/32 reject\n"));
        append("postgresql.conf", "\nssl = on\n");
        append("server.crt", certificate);
        append("server.key", key);
        let files: Vec<PathBuf> = ["server.crt", "server.key"].iter().map(|f| data.join(f)).collect();
        assert!(Command::new("chmod").arg("600").args(&files).status().unwrap().success());
        if is_root() {
            assert!(Command::new("chown").arg("postgres:").args(&files).status().unwrap().success());
        }
        self.up();
    }

    fn answers(&self) -> bool {
        let mut command = Command::new(programs().join("pg_isready"));
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "warroom", "-d", "postgres"]);
        command.status().unwrap().success()
    }

    fn signal(&mut self, name: &str) {
        if let Some(mut child) = self.child.take() {
            let _ended_already = Command::new("kill").args([name, &child.id().to_string()]).status();
            let _reaped = child.wait();
        }
    }

    /// As after a power failure: no checkpoint, no goodbye.
    pub fn crash(&mut self) {
        self.signal("-QUIT");
    }

    /// An orderly end: open connections are closed.
    pub fn down(&mut self) {
        self.signal("-INT");
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }

    pub fn url(&self) -> String {
        format!("postgres://warroom@127.0.0.1:{}/postgres", self.port)
    }

    pub fn sql(&self, sql: &str) -> String {
        let output = Command::new(programs().join("psql"))
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "warroom", "-d", "postgres", "-qAtc", sql])
            .output()
            .unwrap();
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Pg {
    fn drop(&mut self) {
        self.signal("-QUIT");
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}

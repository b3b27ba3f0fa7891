//! Runs shell scripts of playbooks: output streamed and capped, with a timeout, and without leaving processes behind.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use crate::incident::Refusal;
use crate::playbook::Values;
use crate::telemetry::time::human_duration;
use crate::telemetry::{Failure, clean};

/// How much of the output is kept, in bytes: of its beginning and of its end.
const HEAD: usize = 64 * 1024;
const TAIL: usize = 192 * 1024;
/// How long a script may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is still read after the script has ended, if a process in the background holds it open.
const AFTER_END: Duration = Duration::from_millis(500);

/// How a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Exited(i32),
    /// A signal ended it, by its number.
    Signalled(i32),
    TimedOut,
    /// A person stopped it.
    Stopped,
}

/// The result of a script.
#[derive(Clone, Debug)]
pub struct Finished {
    pub ending: Ending,
    /// Standard output and error in their order, cleaned.
    pub output: String,
    /// The number of bytes that were left out in the middle.
    pub left_out: usize,
    pub took: Duration,
}

impl Finished {
    /// How it ended, in one line. `timeout` is the one that it had.
    pub fn describe(&self, timeout: Duration) -> String {
        let took = human_duration(self.took);
        match self.ending {
            Ending::Exited(code) => format!("exit code {code} after {took}"),
            Ending::Signalled(signal) => format!("ended by signal {signal} after {took}"),
            Ending::Stopped => format!("stopped by hand after {took}"),
            Ending::TimedOut => format!("stopped after its timeout of {}", human_duration(timeout)),
        }
    }
}

/// The command that runs a script: it stops at the first command that fails, and at a variable that has no value.
pub fn argv(script: &str) -> Vec<String> {
    ["sh", "-eu", "-c", script].map(str::to_owned).to_vec()
}

/// What a script would run, as lines to show to the user: where, exactly what, and with which variables.
pub fn describe(script: &str, env: &Values) -> Vec<String> {
    let host = whoami::hostname().unwrap_or_else(|_| "this machine".to_owned());
    let folder = std::env::current_dir().map_or_else(|_| "an unknown folder".to_owned(), |path| path.display().to_string());
    let mut lines = vec![format!("On {host} in {folder}:")];
    lines.extend(clean::block(script).lines().map(|line| format!("  {line}")));
    // Quoted, so that nothing in a value looks like another line.
    lines.extend(env.iter().map(|(name, value)| format!("  {name} = {value:?}")));
    lines
}

/// Ends all processes of a script when it is dropped, so that a cancelled run leaves nothing behind.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may have ended by itself.
            let _ended = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The beginning and the end of a long output.
#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    left_out: usize,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(rest);
        if self.tail.len() > 2 * TAIL {
            self.shorten();
        }
    }

    fn shorten(&mut self) {
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.left_out += surplus;
        self.tail.drain(..surplus);
    }

    fn finish(mut self) -> (String, usize) {
        self.shorten();
        let mut text = clean::document(&String::from_utf8_lossy(&self.head));
        if self.left_out > 0 {
            text.push_str(&format!("\n[{} bytes left out]\n", self.left_out));
        }
        text.push_str(&clean::document(&String::from_utf8_lossy(&self.tail)));
        (text, self.left_out)
    }
}

/// Runs a script with variables in its environment, in the current directory and without input. `show` receives its output as it comes,
/// whole lines where possible. Once `stop` is cancelled it is asked to end, and soon killed. Dropping the future kills it.
///
/// # Errors
/// When it cannot be started.
pub async fn run(
    script: &str,
    env: &Values,
    timeout: Duration,
    show: &(dyn Fn(&str) + Send + Sync),
    stop: &CancellationToken,
) -> Result<Finished, Refusal> {
    let began = Instant::now();
    let cannot = |e: &std::io::Error| Refusal::Invalid(Failure::new("cannot run the script with sh").because(e));
    let (reader, writer) = std::io::pipe().map_err(|e| cannot(&e))?;
    let mut command = tokio::process::Command::new("sh");
    command.args(argv(script).into_iter().skip(1)).envs(env).stdin(Stdio::null());
    // One pipe for both, so that their order is kept.
    command.stdout(writer.try_clone().map_err(|e| cannot(&e))?).stderr(writer).process_group(0);
    let mut child = command.spawn().map_err(|e| cannot(&e))?;
    // It holds the writing end of the pipe.
    drop(command);
    let group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let mut output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(|e| cannot(&e))?;
    let (mut kept, mut buffer, mut line) = (Kept::default(), vec![0_u8; 16 * 1024], Vec::new());
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let (mut status, mut early, mut is_open) = (None, None, true);
    while status.is_none() || is_open {
        tokio::select! {
            read = output.read(&mut buffer), if is_open => match read {
                Ok(n) if n > 0 => {
                    let bytes = buffer.get(..n).unwrap_or_default();
                    kept.add(bytes);
                    line.extend_from_slice(bytes);
                    let end = memchr::memrchr(b'\n', &line).map_or(0, |at| at + 1);
                    if end > 0 || line.len() > HEAD {
                        let end = if end > 0 { end } else { line.len() };
                        show(&clean::document(&String::from_utf8_lossy(line.get(..end).unwrap_or_default())));
                        line.drain(..end);
                    }
                }
                _ => is_open = false,
            },
            ended = child.wait(), if status.is_none() => {
                status = Some(ended.map_err(|e| cannot(&e))?);
                if early.is_none() {
                    deadline.as_mut().reset(tokio::time::Instant::now() + AFTER_END);
                }
            }
            () = stop.cancelled(), if status.is_none() && early.is_none() => {
                group.signal(Signal::TERM);
                early = Some(Ending::Stopped);
                deadline.as_mut().reset(tokio::time::Instant::now() + GRACE);
            }
            () = &mut deadline => {
                if status.is_some() {
                    break;
                }
                group.signal(if early.is_some() { Signal::KILL } else { Signal::TERM });
                early = early.or(Some(Ending::TimedOut));
                deadline.as_mut().reset(tokio::time::Instant::now() + GRACE);
            }
        }
    }
    if !line.is_empty() {
        show(&clean::document(&String::from_utf8_lossy(&line)));
    }
    let ending = match (early, status) {
        (Some(early), _) => early,
        (None, Some(status)) => match status.code() {
            Some(code) => Ending::Exited(code),
            None => Ending::Signalled(std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or(0)),
        },
        (None, None) => Ending::Signalled(0),
    };
    let (output, left_out) = kept.finish();
    Ok(Finished { ending, output, left_out, took: began.elapsed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn finished(script: &str, timeout: Duration) -> (Finished, String) {
        let shown = std::sync::Mutex::new(String::new());
        let env = Values::from([("name".to_owned(), "$(echo no) 'x'".to_owned())]);
        let (stop, show) = (CancellationToken::new(), |text: &str| shown.lock().unwrap().push_str(text));
        let found = run(script, &env, timeout, &show, &stop).await.unwrap();
        (found, shown.into_inner().unwrap())
    }

    #[tokio::test]
    async fn streams_output_in_order_and_reports_the_exit_code() {
        let (found, shown) = finished("echo one; echo two >&2; echo \"$name\"; exit 3", Duration::from_mins(1)).await;
        assert_eq!((found.ending, found.output.as_str()), (Ending::Exited(3), "one\ntwo\n$(echo no) 'x'\n"));
        assert_eq!(shown, found.output);
        let (found, _) = finished("false; echo never", Duration::from_mins(1)).await;
        assert_eq!((found.ending, found.output.as_str()), (Ending::Exited(1), ""));
        let (found, _) = finished("kill -9 $$", Duration::from_mins(1)).await;
        assert_eq!(found.ending, Ending::Signalled(9));
    }

    #[tokio::test]
    async fn ends_with_its_timeout_and_leaves_no_process_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pid");
        let script =
            format!("(trap '' TERM; echo $$ > {0}.sub; sleep 300) & echo $! > {0}; echo begun; sleep 300", file.display());
        let (found, _) = finished(&script, Duration::from_secs(1)).await;
        assert_eq!((found.ending, found.output.as_str()), (Ending::TimedOut, "begun\n"));
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // Killed when the group is dropped; the process may still be there as a zombie.
        let gone = || std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "));
        for _ in 0..200 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("process {pid} is still running");
    }

    #[tokio::test]
    async fn is_stopped_by_hand_and_keeps_its_output() {
        let stop = CancellationToken::new();
        let found = run(
            "trap 'echo cleaning up; exit 7' TERM; echo begun; while :; do :; done",
            &Values::new(),
            Duration::from_mins(5),
            &|_| stop.cancel(),
            &stop,
        )
        .await
        .unwrap();
        assert_eq!((found.ending, found.output.as_str()), (Ending::Stopped, "begun\ncleaning up\n"));
    }

    #[tokio::test]
    async fn a_process_in_the_background_does_not_hold_it_up() {
        let (found, _) = finished("sleep 300 & echo done", Duration::from_mins(5)).await;
        assert_eq!((found.ending, found.output.as_str()), (Ending::Exited(0), "done\n"));
    }

    #[tokio::test]
    async fn keeps_the_beginning_and_the_end_of_a_long_output() {
        let (found, _) = finished(
            "echo first; i=0; while [ $i -lt 20000 ]; do echo 'a line of some length, number '$i; i=$((i+1)); done; echo last",
            Duration::from_mins(2),
        )
        .await;
        assert!(found.left_out > 0 && found.output.len() < HEAD + TAIL + 100, "{}", found.output.len());
        assert!(found.output.starts_with("first\n") && found.output.ends_with("last\n"));
        assert!(found.output.contains(&format!("[{} bytes left out]", found.left_out)));
    }
}

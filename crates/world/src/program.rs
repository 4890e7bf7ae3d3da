//! Programs of this machine: what they print is bounded.

use std::io::{self, ErrorKind};
use std::process::{Output, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// The most that is taken of what a program prints, of each of its two streams.
const MOST: u64 = 16 << 20;

/// Runs a program, gives it some input and waits for its end. Whether it is killed when the caller stops waiting is the
/// command's own setting (`kill_on_drop`).
///
/// # Errors
/// When it cannot be started; and when it prints more than 16 MiB, which ends it.
pub(crate) async fn run(command: &mut Command, input: &[u8]) -> io::Result<Output> {
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // It may have ended without reading; its status says why.
            let _ = stdin.write_all(input).await;
        }
        Ok(())
    };
    match tokio::try_join!(bounded(out), bounded(err), feed) {
        Ok((stdout, stderr, ())) => Ok(Output { status: child.wait().await?, stdout, stderr }),
        Err(error) => {
            // It may have ended by itself meanwhile.
            let _ = child.kill().await;
            Err(error)
        }
    }
}

async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(MOST + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it prints more than {} MiB", MOST >> 20)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_program_prints_is_taken_up_to_a_bound() {
        let output = run(Command::new("cat").arg("-"), b"in").await.unwrap();
        assert_eq!((output.status.success(), output.stdout), (true, b"in".to_vec()));
        let output = run(Command::new("sh").args(["-c", "echo no >&2; exit 3"]), &[7; 1 << 20]).await.unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(3), b"no\n".to_vec()));
        for stream in ["yes", "yes >&2"] {
            let error = run(Command::new("sh").args(["-c", stream]), b"").await.unwrap_err();
            assert_eq!(error.to_string(), "it prints more than 16 MiB");
        }
    }
}

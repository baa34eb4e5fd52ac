//! The process a filter runs in: limits first, then one request after the other, until the pipe ends.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::jq::filter::{Compiled, Fault};
use crate::jq::{Ask, FILTER_BYTES_MAX, OUTPUT_BYTES_MAX, Verdict};

/// Beyond what the program itself takes.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// Where it is not known what the program itself takes.
const ADDRESS_BYTES_MAX: u64 = 1 << 30;
/// Of the processor, for one request.
const SECONDS_MAX: u64 = 2;
const NICE: i32 = 10;
/// Filters kept compiled.
const COMPILED_MAX: usize = 32;
const INPUT_BYTES_MAX: usize = 64 << 20;

/// Serves requests on standard input until it ends.
///
/// # Errors
/// When a pipe breaks, a request is no request, or the limits cannot be set: no filter runs without
/// them.
pub fn serve(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    limit()?;
    let mut compiled: HashMap<String, Compiled> = HashMap::new();
    while let Some((run, filter, body)) = request(&mut input)? {
        limit_time()?;
        if compiled.len() >= COMPILED_MAX {
            compiled.clear();
        }
        let (verdict, answer) = match compiled.get(&filter) {
            Some(known) => answer(known, run, &body),
            None => match Compiled::new(&filter) {
                Ok(new) => answer(compiled.entry(filter).or_insert(new), run, &body),
                Err(text) => (Verdict::Invalid, text.into_bytes()),
            },
        };
        output.write_all(&[verdict as u8])?;
        output.write_all(
            &u32::try_from(answer.len())
                .map_err(io::Error::other)?
                .to_be_bytes(),
        )?;
        output.write_all(&answer)?;
        output.flush()?;
    }
    Ok(())
}

fn answer(filter: &Compiled, run: bool, body: &[u8]) -> (Verdict, Vec<u8>) {
    if !run {
        return (Verdict::Done, Vec::new());
    }
    match filter.run(body, OUTPUT_BYTES_MAX) {
        Ok(output) => (Verdict::Done, output),
        Err(Fault::Failed(text)) => (Verdict::Failed, text.into_bytes()),
        Err(Fault::TooLarge) => (Verdict::TooLarge, Vec::new()),
    }
}

/// `None` at the end of the pipe.
fn request(input: &mut impl Read) -> io::Result<Option<(bool, String, Vec<u8>)>> {
    let mut head = [0; 9];
    if input.read(&mut head[..1])? == 0 {
        return Ok(None);
    }
    input.read_exact(&mut head[1..])?;
    let size = |at: usize| {
        u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize
    };
    if size(1) > FILTER_BYTES_MAX || size(5) > INPUT_BYTES_MAX {
        return Err(io::Error::other("a request is too large"));
    }
    let (mut filter, mut body) = (vec![0; size(1)], vec![0; size(5)]);
    input.read_exact(&mut filter)?;
    input.read_exact(&mut body)?;
    let filter = String::from_utf8(filter).map_err(io::Error::other)?;
    Ok(Some((head[0] == Ask::Run as u8, filter, body)))
}

/// Memory, files, dumps.
fn limit() -> io::Result<()> {
    // Whatever else this machine does goes first.
    nice(NICE)?;
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = pages.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let page = rustix::param::page_size() as u64;
    let address = pages.map_or(ADDRESS_BYTES_MAX, |pages| pages * page + MEMORY_BYTES_MAX);
    lower(Resource::As, address)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nofile, 3)
}

/// For both, so that nothing raises it again.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
    let value = Some(value.min(most));
    Ok(setrlimit(
        resource,
        Rlimit {
            current: value,
            maximum: value,
        },
    )?)
}

/// The next request may use so much of the processor and no more; the system ends the process then.
fn limit_time() -> io::Result<()> {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    let until = u64::try_from(used).unwrap_or_default() + 1 + SECONDS_MAX;
    let maximum = getrlimit(Resource::Cpu).maximum;
    Ok(setrlimit(
        Resource::Cpu,
        Rlimit {
            current: Some(maximum.map_or(until, |most| until.min(most))),
            maximum,
        },
    )?)
}

//! What all processes share in Redis: rates, by the same algorithm in one script, which takes from all counts of a call or
//! from none; and what each process has under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Script};
use tokio::time::timeout;

use crate::access::limit::rate::cell;
use crate::access::limit::{Applied, Exceeded};

/// Per count: how far apart calls are in microseconds and parts of them, how many may come at once, and how many this is; then
/// whether they are taken, or only looked for. Redis's own clock decides, so that those of the processes may differ. Microseconds since 1970 are exact in
/// Lua's numbers until the year 2255.
const SCRIPT: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local next = {}
for i, key in ipairs(KEYS) do
  local interval, burst = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  local asked = tonumber(ARGV[3 * i])
  local due = math.max(tonumber(redis.call('GET', key) or now), now) + interval * asked
  -- Of more than ever come at once, as many as do have to be there.
  local wait = due - interval * math.max(burst, asked) - now
  -- Parts of a microsecond are what is rounded.
  if wait >= 1 then return {i, wait} end
  next[i] = due
end
if ARGV[3 * #KEYS + 1] == 'look' then return {0, 0} end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, string.format('%.0f', next[i]), 'PX', math.ceil((next[i] - now) / 1000) + 1)
end
return {0, 0}
";

/// Counts so many more than were taken, or fewer: how far apart, and how many.
const OWE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
due = math.max(due + tonumber(ARGV[1]) * tonumber(ARGV[2]), now)
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1)
return 0
";

/// Notes what a process says, for so many milliseconds, and gives what the others said. One key holds it all; a process
/// that says nothing more is forgotten.
const TELL: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lasting = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f ', now + lasting) .. ARGV[3])
redis.call('PEXPIRE', KEYS[1], lasting)
local others, all = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local till, said = string.match(all[i + 1], '^(%d+) (.*)$')
  if not till or tonumber(till) <= now then
    redis.call('HDEL', KEYS[1], all[i])
  elseif all[i] ~= ARGV[1] then
    others[#others + 1] = said
  end
end
return others
";
/// Where that is.
const UNDER_WAY: &str = "causeway:under-way";

/// How long Redis may take before this process counts on its own.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(100);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often an outage is logged, and for how long Redis is not asked after it did not answer.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);

/// What is in Redis, over one connection. Cheap to clone.
#[derive(Clone)]
pub struct Shared {
    connection: ConnectionManager,
    script: Script,
    owe: Script,
    tell: Script,
    outage: Arc<Mutex<Outage>>,
}

#[derive(Default)]
struct Outage {
    complained: Option<Instant>,
    until: Option<Instant>,
}

/// Why Redis did not count. Never tells the URL, which may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    #[error("the Redis URL cannot be used: {0}")]
    Url(String),
    #[error("Redis did not answer: {0}")]
    Redis(#[from] redis::RedisError),
    #[error("Redis did not answer in time")]
    TimedOut,
    #[error("Redis did not answer a moment ago")]
    Paused,
}

impl Shared {
    /// What is in the Redis at `url` (`redis://` or `rediss://`), to which it connects when it is
    /// first asked.
    pub fn open(url: &str) -> Result<Self, SharedError> {
        let said = |error: redis::RedisError| SharedError::Url(error.category().to_owned());
        let client = Client::open(url).map_err(said)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(said)?;
        Ok(Self {
            connection,
            script: Script::new(SCRIPT),
            owe: Script::new(OWE),
            tell: Script::new(TELL),
            outage: Arc::default(),
        })
    }

    /// Whether Redis answers.
    pub(super) async fn ping(&self) -> Result<(), SharedError> {
        let mut connection = self.connection.clone();
        let ping = redis::cmd("PING");
        let answer = timeout(CONNECT_TIMEOUT, ping.query_async::<()>(&mut connection)).await;
        answer
            .map_err(|_| SharedError::TimedOut)?
            .map_err(SharedError::from)
    }

    /// Takes one from each count, or from none and says which was used up.
    pub(super) async fn pass(
        &self,
        rates: &[&Applied<'_>],
    ) -> Result<Result<(), Exceeded>, SharedError> {
        let (place, wait) = self.ask(rates, "take").await?;
        let exceeded = place.checked_sub(1).and_then(|place| rates.get(place));
        Ok(match exceeded {
            Some(one) => Err(one.exceeded(Duration::from_micros(wait))),
            None => Ok(()),
        })
    }

    /// Whether each count has what is asked of it; nothing is taken.
    pub(super) async fn has_room(&self, rates: &[&Applied<'_>]) -> Result<bool, SharedError> {
        let (place, _) = self.ask(rates, "look").await?;
        Ok(place == 0)
    }

    /// Which count was used up, from one on, and for how many microseconds; zero: none was.
    async fn ask(&self, rates: &[&Applied<'_>], what: &str) -> Result<(usize, u64), SharedError> {
        let paused = self.outage.lock().until;
        if paused.is_some_and(|until| Instant::now() < until) {
            return Err(SharedError::Paused);
        }
        let mut script = self.script.prepare_invoke();
        for one in rates {
            let (_, burst) = cell(one).unwrap_or((1, 1));
            script
                .key(key(one))
                .arg(interval(one))
                .arg(burst)
                .arg(one.amount);
        }
        script.arg(what);
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_TIMEOUT, script.invoke_async(&mut connection)).await;
        Ok(answer.map_err(|_| SharedError::TimedOut)??)
    }

    /// Counts so many more than were taken, or fewer.
    pub(super) async fn owe(&self, one: &Applied<'_>, more: i64) -> Result<(), SharedError> {
        let mut script = self.owe.prepare_invoke();
        script.key(key(one)).arg(interval(one)).arg(more);
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_TIMEOUT, script.invoke_async::<i64>(&mut connection)).await;
        answer.map_err(|_| SharedError::TimedOut)??;
        Ok(())
    }

    /// Says what a process has under way, which is good for so long, and gives what others said.
    pub async fn tell(
        &self,
        process: &str,
        said: &str,
        lasting: Duration,
    ) -> Result<Vec<String>, SharedError> {
        let mut script = self.tell.prepare_invoke();
        let lasting = u64::try_from(lasting.as_millis()).unwrap_or(u64::MAX);
        script.key(UNDER_WAY).arg(process).arg(lasting).arg(said);
        let mut connection = self.connection.clone();
        let answer = timeout(ANSWER_TIMEOUT, script.invoke_async(&mut connection)).await;
        Ok(answer.map_err(|_| SharedError::TimedOut)??)
    }

    /// Logs an outage, now and then.
    pub(super) fn note(&self, error: &SharedError) {
        if matches!(error, SharedError::Paused) {
            return;
        }
        let (mut outage, now) = (self.outage.lock(), Instant::now());
        outage.until = Some(now + PAUSE);
        let quiet = |at: Instant| now.duration_since(at) < COMPLAIN_EVERY;
        if !outage.complained.is_some_and(quiet) {
            outage.complained = Some(now);
            tracing::warn!(error = %error, "rates are counted in each process alone");
        }
    }
}

/// How far apart single ones are in microseconds, with what is less than one: many tokens a minute are that near.
fn interval(one: &Applied<'_>) -> f64 {
    let window = one.rate().unwrap_or_default().as_secs_f64() * 1e6;
    #[expect(clippy::cast_precision_loss, reason = "amounts are below 2^53")]
    let amount = one.limit.amount.max(1) as f64;
    window / amount
}

/// Where a count is. Another amount begins anew.
fn key(one: &Applied<'_>) -> String {
    let (interval, burst) = cell(one).unwrap_or((1, 1));
    format!("causeway:rate:{}:{interval}:{burst}", one.counter)
}

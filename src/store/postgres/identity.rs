//! The session time that all sdgroups have, and who has which numbers.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::Trouble;
use crate::store::numbers::{AT_ONCE, GIVEN, Lease};

/// Takes a range of numbers. When there are no more, they begin anew with a later time.
pub(super) async fn lease(client: &Client) -> Result<Lease, Trouble> {
    let (first, last, count) = (i64::from(*GIVEN.start()), i64::from(*GIVEN.end()), i64::from(AT_ONCE));
    let query = "UPDATE sdgroup.identity SET \
         time = CASE WHEN next + $3 > $2 THEN greatest(time + 1, extract(epoch FROM clock_timestamp())::bigint) ELSE time END, \
         next = CASE WHEN next + $3 > $2 THEN $1 ELSE next END + $3 \
         RETURNING time, next";
    let numbers = [
        (&first as _, Type::INT8),
        (&last as _, Type::INT8),
        (&count as _, Type::INT8),
    ];
    let rows = client.query_typed(query, &numbers).await?;
    let row = rows.first().ok_or_else(|| "nobody knows the session time".to_owned())?;
    let (time, end) = (number(row.try_get(0)?)?, number(row.try_get(1)?)?);
    Ok(Lease {
        time,
        next: end.saturating_sub(AT_ONCE),
        end,
    })
}

/// Sees to it that what is known here is not given again: a machine that has taken over may not know of it. Returns the time.
pub(super) async fn hold(client: &Client, known: Option<(u32, u32)>) -> Result<u32, Trouble> {
    let (time, end) = known.map_or((0, 0), |(time, end)| (i64::from(time), i64::from(end)));
    let query = "UPDATE sdgroup.identity SET time = greatest(time, $1), \
         next = CASE WHEN time > $1 THEN next WHEN time = $1 THEN greatest(next, $2) ELSE $2 END \
         RETURNING time";
    let rows = client
        .query_typed(query, &[(&time, Type::INT8), (&end, Type::INT8)])
        .await?;
    let row = rows.first().ok_or_else(|| "nobody knows the session time".to_owned())?;
    number(row.try_get(0)?)
}

fn number(number: i64) -> Result<u32, Trouble> {
    u32::try_from(number).map_err(|_| Trouble::Column(format!("a session time or number of {number}")))
}

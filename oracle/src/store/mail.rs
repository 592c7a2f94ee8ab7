//! Mail in the database. What may be written, [`Mailbox`](crate::mail::Mailbox) knows; the sums are taken here, in the
//! transaction that writes.
use alloy::primitives::{B256, Bytes};
use serde::Serialize;
use sqlx::{Any, Row as _, Transaction, any::AnyRow};
use sunwork_protocol::mail::Message;

use super::{Doing as _, Store, StoreError, corrupt, number, sql_int};
use crate::{json::Account, mail::MailLimits};

/// Messages of one party for one recipient and topic: its own and a helper's. Of more the oldest goes, so that a party
/// cannot fill a list by changing its helpers.
const MAX_IN_BOX_OF_PARTY: i64 = 2;

/// A message to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewMail<'a> {
    /// The message.
    pub message: &'a Message,
    /// Who signed it.
    pub sender: Account,
    /// On whose account.
    pub party: Account,
    /// Now, Unix milliseconds.
    pub stored_at_ms: u64,
    /// When it goes, Unix milliseconds.
    pub expires_at_ms: u64,
    /// What it counts.
    pub bytes: u64,
    /// Most that all mail of its agreement may count.
    pub room_bytes: u64,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMail {
    /// Kept.
    Stored,
    /// The same one or a newer one was there.
    Had,
    /// Too much of one signer, party or agreement.
    Quota {
        /// What there is too much of.
        what: &'static str,
        /// How much it would be.
        found: u64,
        /// How much may be.
        max: u64,
    },
    /// Too much in all.
    Full {
        /// Bytes of all mail.
        used: u64,
    },
}

/// Sums over all mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailTotals {
    /// Messages.
    pub messages: u64,
    /// What they count.
    pub bytes: u64,
    /// Highest number given out.
    pub last_id: u64,
}

/// Which messages are asked for.
#[derive(Clone, Debug)]
pub struct MailFilter {
    /// To this key.
    pub recipient: B256,
    /// About this agreement.
    pub agreement: Option<Account>,
    /// On this topic.
    pub topic: Option<String>,
    /// From this account.
    pub sender: Option<Account>,
}

/// A message as it is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredMail {
    /// Its number, by which pages are cut.
    #[serde(skip)]
    pub id: u64,
    /// The message.
    #[serde(flatten)]
    pub message: Message,
    /// Who signed it.
    pub sender: Account,
    /// When it came, Unix milliseconds.
    pub stored_at_ms: u64,
    /// When it goes, Unix milliseconds.
    pub expires_at_ms: u64,
}

impl Store {
    /// Sums over all mail, for the start.
    pub async fn mail_totals(&self) -> Result<MailTotals, StoreError> {
        let doing = "counting the mail";
        let sql =
            "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT), CAST(COALESCE(MAX(id), 0) AS BIGINT) FROM mail";
        let row = sqlx::query(sql).fetch_one(&self.pool).await.doing(doing)?;
        let read = |column| number(&row, column).doing(doing);
        Ok(MailTotals { messages: read(0)?, bytes: read(1)?, last_id: read(2)? })
    }

    /// Keeps a message if it is newer than the sender's present one and no limit is in the way, in one transaction. `totals`
    /// follow when it went well.
    pub async fn put_mail(
        &self,
        mail: &NewMail<'_>,
        limits: &MailLimits,
        totals: &mut MailTotals,
    ) -> Result<PutMail, StoreError> {
        let doing = "keeping a message";
        let _turn = self.write().await;
        let mut tx = self.pool.begin().await.doing(doing)?;
        let mut after = *totals;
        if let Some((sent_at_ms, expires_at_ms, bytes)) = present(&mut tx, mail).await? {
            if expires_at_ms > mail.stored_at_ms && sent_at_ms >= mail.message.sent_at_ms {
                return Ok(PutMail::Had);
            }
            delete_of_sender(&mut tx, mail).await?;
            after.remove(1, bytes);
        }
        while let Some((id, bytes)) = crowding(&mut tx, mail).await? {
            sqlx::query("DELETE FROM mail WHERE id = $1").bind(sql_int(id)).execute(&mut *tx).await.doing(doing)?;
            after.remove(1, bytes);
        }
        if let Some(refused) = over_quota(&mut tx, mail, limits).await? {
            return Ok(refused);
        }
        if after.bytes.saturating_add(mail.bytes) > limits.quota_bytes {
            return Ok(PutMail::Full { used: after.bytes });
        }
        after.last_id += 1;
        insert(&mut tx, mail, after.last_id).await?;
        tx.commit().await.doing(doing)?;
        after.messages += 1;
        after.bytes += mail.bytes;
        *totals = after;
        Ok(PutMail::Stored)
    }

    /// Messages that have not expired at `now_ms`, newest first, at most `limit` of those before number `before`.
    pub async fn mail(
        &self,
        filter: &MailFilter,
        now_ms: u64,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<StoredMail>, StoreError> {
        let rows = sqlx::query(
            "SELECT id, agreement, recipient, topic, sender, sent_at_ms, stored_at_ms, expires_at_ms, body, signature \
             FROM mail WHERE recipient = $1 AND ($2 = '' OR agreement = $2) AND ($3 = '' OR topic = $3) \
             AND ($4 = '' OR sender = $4) AND expires_at_ms > $5 AND id < $6 ORDER BY id DESC LIMIT $7",
        )
        .bind(filter.recipient.to_string())
        .bind(filter.agreement.map(Account::to_db).unwrap_or_default())
        .bind(filter.topic.clone().unwrap_or_default())
        .bind(filter.sender.map(Account::to_db).unwrap_or_default())
        .bind(sql_int(now_ms))
        .bind(before.map_or(i64::MAX, sql_int))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .doing("listing mail")?;
        rows.iter().map(stored).collect()
    }

    /// Deletes what has expired; says how many.
    pub async fn sweep_mail(&self, now_ms: u64, totals: &mut MailTotals) -> Result<u64, StoreError> {
        let doing = "deleting expired mail";
        let _turn = self.write().await;
        let mut tx = self.pool.begin().await.doing(doing)?;
        let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM mail WHERE expires_at_ms <= $1";
        let row = sqlx::query(sql).bind(sql_int(now_ms)).fetch_one(&mut *tx).await.doing(doing)?;
        let (count, bytes) = (number(&row, 0).doing(doing)?, number(&row, 1).doing(doing)?);
        if count == 0 {
            return Ok(0);
        }
        let delete = sqlx::query("DELETE FROM mail WHERE expires_at_ms <= $1").bind(sql_int(now_ms));
        delete.execute(&mut *tx).await.doing(doing)?;
        tx.commit().await.doing(doing)?;
        totals.remove(count, bytes);
        Ok(count)
    }
}

impl MailTotals {
    const fn remove(&mut self, messages: u64, bytes: u64) {
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

type Tx = Transaction<'static, Any>;

/// Time, expiry and size of what the sender has there now.
async fn present(tx: &mut Tx, mail: &NewMail<'_>) -> Result<Option<(u64, u64, u64)>, StoreError> {
    let doing = "looking for an earlier message";
    let row = sqlx::query(
        "SELECT sent_at_ms, expires_at_ms, bytes FROM mail \
         WHERE agreement = $1 AND recipient = $2 AND topic = $3 AND sender = $4",
    )
    .bind(Account(mail.message.agreement).to_db())
    .bind(mail.message.recipient.to_string())
    .bind(mail.message.topic.clone())
    .bind(mail.sender.to_db())
    .fetch_optional(&mut **tx)
    .await
    .doing(doing)?;
    let Some(row) = row else { return Ok(None) };
    let read = |column| number(&row, column).doing(doing);
    Ok(Some((read(0)?, read(1)?, read(2)?)))
}

async fn delete_of_sender(tx: &mut Tx, mail: &NewMail<'_>) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM mail WHERE agreement = $1 AND recipient = $2 AND topic = $3 AND sender = $4")
        .bind(Account(mail.message.agreement).to_db())
        .bind(mail.message.recipient.to_string())
        .bind(mail.message.topic.clone())
        .bind(mail.sender.to_db())
        .execute(&mut **tx)
        .await
        .doing("replacing a message")?;
    Ok(())
}

/// The oldest message of the party for this recipient and topic, when there is no room for one more.
async fn crowding(tx: &mut Tx, mail: &NewMail<'_>) -> Result<Option<(u64, u64)>, StoreError> {
    let doing = "looking for a party's other messages";
    let rows = sqlx::query(
        "SELECT id, bytes FROM mail WHERE agreement = $1 AND recipient = $2 AND topic = $3 AND party = $4 \
         ORDER BY id LIMIT $5",
    )
    .bind(Account(mail.message.agreement).to_db())
    .bind(mail.message.recipient.to_string())
    .bind(mail.message.topic.clone())
    .bind(mail.party.to_db())
    .bind(MAX_IN_BOX_OF_PARTY)
    .fetch_all(&mut **tx)
    .await
    .doing(doing)?;
    let Some(oldest) = rows.first().filter(|_| rows.len() as i64 >= MAX_IN_BOX_OF_PARTY) else { return Ok(None) };
    Ok(Some((number(oldest, 0).doing(doing)?, number(oldest, 1).doing(doing)?)))
}

async fn over_quota(tx: &mut Tx, mail: &NewMail<'_>, limits: &MailLimits) -> Result<Option<PutMail>, StoreError> {
    let doing = "counting a party's mail";
    let row = sqlx::query(
        "SELECT CAST(COALESCE(SUM(CASE WHEN sender = $2 THEN 1 ELSE 0 END), 0) AS BIGINT), \
         CAST(COALESCE(SUM(CASE WHEN sender = $2 THEN bytes ELSE 0 END), 0) AS BIGINT), \
         CAST(COALESCE(SUM(CASE WHEN party = $3 THEN bytes ELSE 0 END), 0) AS BIGINT), \
         CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM mail WHERE agreement = $1 AND expires_at_ms > $4",
    )
    .bind(Account(mail.message.agreement).to_db())
    .bind(mail.sender.to_db())
    .bind(mail.party.to_db())
    .bind(sql_int(mail.stored_at_ms))
    .fetch_one(&mut **tx)
    .await
    .doing(doing)?;
    let checks = [
        ("messages of this sender", 1, limits.signer_messages),
        ("bytes of this sender", mail.bytes, limits.signer_bytes),
        ("bytes of this party with its devices or its key agent", mail.bytes, limits.party_bytes),
        ("bytes of all parties", mail.bytes, mail.room_bytes),
    ];
    for (column, (what, more, max)) in checks.into_iter().enumerate() {
        let found = number(&row, column).doing(doing)?.saturating_add(more);
        if found > max {
            return Ok(Some(PutMail::Quota { what, found, max }));
        }
    }
    Ok(None)
}

async fn insert(tx: &mut Tx, mail: &NewMail<'_>, id: u64) -> Result<(), StoreError> {
    let message = mail.message;
    sqlx::query(
        "INSERT INTO mail (id, agreement, recipient, topic, sender, party, sent_at_ms, stored_at_ms, expires_at_ms, bytes, \
         body, signature) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(sql_int(id))
    .bind(Account(message.agreement).to_db())
    .bind(message.recipient.to_string())
    .bind(message.topic.clone())
    .bind(mail.sender.to_db())
    .bind(mail.party.to_db())
    .bind(sql_int(message.sent_at_ms))
    .bind(sql_int(mail.stored_at_ms))
    .bind(sql_int(mail.expires_at_ms))
    .bind(sql_int(mail.bytes))
    .bind(message.body.to_string())
    .bind(message.signature.to_string())
    .execute(&mut **tx)
    .await
    .doing("keeping a message")?;
    Ok(())
}

fn stored(row: &AnyRow) -> Result<StoredMail, StoreError> {
    let doing = "reading a message";
    let text = |column: usize| row.try_get::<String, _>(column).doing(doing);
    let bytes = |column| text(column)?.parse::<Bytes>().map_err(|e| corrupt("mail", &e));
    Ok(StoredMail {
        id: number(row, 0).doing(doing)?,
        message: Message {
            agreement: text(1)?.parse().map_err(|e| corrupt("mail", &e))?,
            recipient: text(2)?.parse().map_err(|e| corrupt("mail", &e))?,
            topic: text(3)?,
            sent_at_ms: number(row, 5).doing(doing)?,
            body: bytes(8)?,
            signature: bytes(9)?,
        },
        sender: text(4)?.parse().map_err(|e| corrupt("mail", &e))?,
        stored_at_ms: number(row, 6).doing(doing)?,
        expires_at_ms: number(row, 7).doing(doing)?,
    })
}

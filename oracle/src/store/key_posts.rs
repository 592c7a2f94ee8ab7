//! What the key agent posted, for its daily cap. Deliberately not folded from the chain: what counts is what it set out to pay.
use super::{Doing as _, Store, StoreError, number, sql_int};
use crate::json::Account;

impl Store {
    /// Posts for `client` since `since_ms`, without those of this very attempt.
    pub async fn key_posts(&self, client: Account, since_ms: u64, but: (Account, u8)) -> Result<u64, StoreError> {
        let doing = "counting posted keys";
        let row = sqlx::query(
            "SELECT COUNT(*) FROM key_posts WHERE client = $1 AND at_ms > $2 AND NOT (agreement = $3 AND attempt = $4)",
        )
        .bind(client.to_db())
        .bind(sql_int(since_ms))
        .bind(but.0.to_db())
        .bind(i64::from(but.1))
        .fetch_one(&self.pool)
        .await
        .doing(doing)?;
        number(&row, 0).doing(doing)
    }

    /// Writes down that the key of this attempt is about to be posted; once for each attempt. Forgets what is older than
    /// `forget_ms`.
    pub async fn add_key_post(
        &self,
        client: Account,
        (agreement, attempt): (Account, u8),
        at_ms: u64,
        forget_ms: u64,
    ) -> Result<(), StoreError> {
        let doing = "writing down a posted key";
        let _turn = self.write().await;
        let mut tx = self.pool.begin().await.doing(doing)?;
        let delete = sqlx::query("DELETE FROM key_posts WHERE at_ms <= $1").bind(sql_int(forget_ms));
        delete.execute(&mut *tx).await.doing(doing)?;
        sqlx::query(
            "INSERT INTO key_posts (agreement, attempt, client, at_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (agreement, attempt) DO NOTHING",
        )
        .bind(agreement.to_db())
        .bind(i64::from(attempt))
        .bind(client.to_db())
        .bind(sql_int(at_ms))
        .execute(&mut *tx)
        .await
        .doing(doing)?;
        tx.commit().await.doing(doing)
    }
}

"""The spool file's tables, and what is asked of them. Pure: text only.

`batch` holds closed batches until the broker has acknowledged them, `journal` accepted samples until their batch is
closed, `tag` the replay state as of the last checkpoint; what happened since stands in `journal`. `errand` holds what
a courier has to do at each tag. `meta` holds the counts, so that nobody ever has to count. CRCs, because SQLite does
not see a flipped bit inside a blob.
"""

from taghub.closed_batch import LANE_ALARM, LANE_BACKLOG, LANE_EVENT, LANE_LIVE, LANE_POISON, LANE_REPLY

APPLICATION_ID = 0x7A671001
USER_VERSION = 1

CREATE = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {USER_VERSION};
CREATE TABLE batch (sequence INTEGER PRIMARY KEY, lane INTEGER NOT NULL, created_s INTEGER NOT NULL,
    count INTEGER NOT NULL, crc INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE INDEX batch_lane ON batch (lane, sequence);
CREATE TABLE journal (id INTEGER PRIMARY KEY, live_from INTEGER NOT NULL, live INTEGER NOT NULL,
    crc INTEGER NOT NULL, records BLOB NOT NULL);
CREATE TABLE tag (tag_id INTEGER PRIMARY KEY, floor INTEGER NOT NULL, bitmap BLOB NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
# Of a file that was made before there were couriers, too; a hub that knows none leaves it alone.
CREATE_LATER = """
CREATE TABLE IF NOT EXISTS errand (tag_id INTEGER PRIMARY KEY, lowest INTEGER NOT NULL, adopting INTEGER NOT NULL,
    base INTEGER NOT NULL, owed BLOB NOT NULL)
"""

INSERT_BATCH = "INSERT OR IGNORE INTO batch (sequence, lane, created_s, count, crc, payload) VALUES (?, ?, ?, ?, ?, ?)"
INSERT_JOURNAL = "INSERT INTO journal (id, live_from, live, crc, records) VALUES (?, ?, ?, ?, ?)"
REPLACE_TAG = "INSERT OR REPLACE INTO tag (tag_id, floor, bitmap) VALUES (?, ?, ?)"
REPLACE_ERRAND = "INSERT OR REPLACE INTO errand (tag_id, lowest, adopting, base, owed) VALUES (?, ?, ?, ?, ?)"
REPLACE_META = "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)"
DELETE_BATCH = "DELETE FROM batch WHERE sequence = ? RETURNING count, length(payload), lane"
PAYLOAD = "SELECT lane, payload FROM batch WHERE sequence = ?"
POISON_BATCH = f"UPDATE batch SET lane = {LANE_POISON} WHERE sequence = ? RETURNING count"
# Rows that the checkpoint covers and whose live samples are all in batches.
TRIM_JOURNAL = "DELETE FROM journal WHERE id <= ? AND live_from + live <= ?"

# Batches are numbered in the order of their making: the first of a lane is its oldest.
ENDS_OF_LANE = {
    "oldest": "SELECT sequence, created_s FROM batch WHERE lane = ? AND sequence NOT IN ({}) ORDER BY sequence LIMIT 1",
    "newest": "SELECT sequence, created_s FROM batch WHERE lane = ? AND sequence NOT IN ({}) "
    "ORDER BY sequence DESC LIMIT 1",
}
LANES_BY_LOSS = (LANE_POISON, LANE_BACKLOG, LANE_REPLY, LANE_LIVE, LANE_ALARM, LANE_EVENT)
"""When the spool is full, the lane that comes first here loses first."""
NEXT = (
    "SELECT sequence, lane, created_s, count, crc, payload FROM batch "
    f"WHERE lane < {LANE_POISON} AND sequence NOT IN ({{}}) ORDER BY lane, sequence LIMIT ?"
)

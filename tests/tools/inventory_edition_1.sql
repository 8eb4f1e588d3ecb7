-- An inventory as tagsmith of edition 1 wrote it (iterdump of a real one; application_id and user_version are set by the test).
BEGIN TRANSACTION;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at_s INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    tag_id INTEGER,
    generation INTEGER,
    detail TEXT NOT NULL
) STRICT;
INSERT INTO "audit" VALUES(1,1780000060,'maria','plan',1000,NULL,'box 1');
INSERT INTO "audit" VALUES(2,1780000180,'maria','write',1000,0,'chip 020000000001');
INSERT INTO "audit" VALUES(3,1780000300,'maria','verified',1000,0,'chip 020000000001');
INSERT INTO "audit" VALUES(4,1780000420,'maria','ready',1000,0,'');
INSERT INTO "audit" VALUES(5,1780000540,'maria','plan',1001,NULL,'box 1');
INSERT INTO "audit" VALUES(6,1780000660,'maria','write',1001,0,'chip 020000000002');
INSERT INTO "audit" VALUES(7,1780000780,'maria','verified',1001,0,'chip 020000000002');
INSERT INTO "audit" VALUES(8,1780000900,'maria','ready',1001,0,'');
INSERT INTO "audit" VALUES(9,1780001020,'maria','write',1001,1,'chip 020000000002, yearly');
INSERT INTO "audit" VALUES(10,1780001140,'maria','plan',1002,NULL,'planned');
INSERT INTO "audit" VALUES(11,1780001200,'maria','rotate',1000,NULL,'key was seen');
INSERT INTO "audit" VALUES(12,1780001320,'maria','calibrate',1000,NULL,'temperature, certificate D-7');
INSERT INTO "audit" VALUES(13,1780001500,'maria','batch',NULL,NULL,'june: 2 tags');
INSERT INTO "audit" VALUES(14,1780001620,'maria','plan',1003,NULL,'box 1');
CREATE TABLE bench (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "bench" VALUES('backup',0);
INSERT INTO "bench" VALUES('first_id',1000);
INSERT INTO "bench" VALUES('last_id',1099);
INSERT INTO "bench" VALUES('next_id',1004);
CREATE TABLE calibration (
    tag_id INTEGER NOT NULL REFERENCES tag,
    quantity TEXT NOT NULL,
    reference TEXT NOT NULL,
    measured_on TEXT NOT NULL,
    certificate TEXT NOT NULL,
    deviation REAL,
    noted_s INTEGER NOT NULL
) STRICT;
INSERT INTO "calibration" VALUES(1000,'temperature','F200 no. 12','2026-11-01','D-7',-0.1,1780001260);
CREATE TABLE identity (
    tag_id INTEGER NOT NULL REFERENCES tag,
    generation INTEGER NOT NULL CHECK (generation BETWEEN 0 AND 255),
    root_key BLOB NOT NULL UNIQUE CHECK (length(root_key) = 16),
    state TEXT NOT NULL,
    chip TEXT,
    changed_s INTEGER NOT NULL,
    PRIMARY KEY (tag_id, generation)
) STRICT, WITHOUT ROWID;
INSERT INTO "identity" VALUES(1000,0,X'01010101010101010101010101010101','ready','020000000001',1780000360);
INSERT INTO "identity" VALUES(1001,0,X'02020202020202020202020202020202','ready','020000000002',1780000840);
INSERT INTO "identity" VALUES(1001,1,X'03030303030303030303030303030303','written','020000000002',1780000960);
CREATE TABLE job (
    batch TEXT NOT NULL,
    line INTEGER NOT NULL,
    board TEXT NOT NULL,
    company_id INTEGER NOT NULL,
    settings TEXT NOT NULL,
    reference TEXT NOT NULL,
    state TEXT NOT NULL,
    tag_id INTEGER REFERENCES tag,
    chip TEXT,
    attempts INTEGER NOT NULL,
    result TEXT NOT NULL,
    changed_s INTEGER NOT NULL,
    PRIMARY KEY (batch, line)
) STRICT, WITHOUT ROWID;
INSERT INTO "job" VALUES('june',1,'esp32-devkit',4660,'{"interval_s": 60}','box 1','working',1003,'020000000003',0,'',1780001680);
INSERT INTO "job" VALUES('june',2,'esp32-devkit',4660,'{"interval_s": 60}','box 1','waiting',NULL,NULL,0,'',1780001440);
CREATE TABLE tag (
    tag_id INTEGER PRIMARY KEY CHECK (tag_id BETWEEN 0 AND 4294967295),
    board TEXT NOT NULL,
    company_id INTEGER NOT NULL CHECK (company_id BETWEEN 0 AND 65535),
    settings TEXT NOT NULL,
    reference TEXT NOT NULL,
    created_s INTEGER NOT NULL,
    rotate TEXT
) STRICT;
INSERT INTO "tag" VALUES(1000,'esp32-devkit',4660,'{"interval_s": 60}','box 1',1780000000,'key was seen');
INSERT INTO "tag" VALUES(1001,'esp32-devkit',4660,'{"interval_s": 60}','box 1',1780000480,NULL);
INSERT INTO "tag" VALUES(1002,'esp32c3-devkit',65535,'{}','planned',1780001080,NULL);
INSERT INTO "tag" VALUES(1003,'esp32-devkit',4660,'{"interval_s": 60}','box 1',1780001560,NULL);
CREATE INDEX identity_of_chip ON identity (chip);
CREATE INDEX calibration_of_tag ON calibration (tag_id);
CREATE INDEX audit_of_tag ON audit (tag_id);
CREATE TRIGGER audit_stays_u BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_stays_d BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER tag_stays BEFORE DELETE ON tag BEGIN SELECT RAISE(ABORT, 'an id is never given back'); END;
CREATE TRIGGER key_stays_d BEFORE DELETE ON identity BEGIN SELECT RAISE(ABORT, 'a key is never forgotten'); END;
CREATE TRIGGER key_stays_u BEFORE UPDATE OF tag_id, generation, root_key ON identity
BEGIN SELECT RAISE(ABORT, 'a key never changes'); END;
CREATE TRIGGER chip_stays BEFORE UPDATE OF chip ON identity WHEN OLD.chip IS NOT NULL AND NEW.chip IS NOT OLD.chip
BEGIN SELECT RAISE(ABORT, 'a key never moves to another board'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',14);
COMMIT;

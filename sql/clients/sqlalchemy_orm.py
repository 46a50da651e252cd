# SPDX-License-Identifier: MIT
#
# sqlalchemy_orm.py: regions as mapped objects beside an ordinary table, with SQLAlchemy 1.4 or 2 and its session.
#
#   python3 sqlalchemy_orm.py PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
import sys

from sqlalchemy import Column, Integer, LargeBinary, String, create_engine, event, func, select, text
from sqlalchemy.orm import Session, declarative_base

engine = create_engine("sqlite:///demo.db", connect_args={"timeout": 5}, future=True)


# The extension and the busy timeout belong to a connection: set them up whenever the pool opens one.
@event.listens_for(engine, "connect")
def set_up(db, record):
    db.enable_load_extension(True)
    db.load_extension(sys.argv[1])
    db.enable_load_extension(False)
    db.execute("PRAGMA journal_mode = WAL")


Base = declarative_base()


class Note(Base):
    __tablename__ = "note"
    id = Column(Integer, primary_key=True)
    text = Column(String)


# The name is a region's key.  `offset` and `length` are seqdb's: do not map them in a class that is saved.
class Region(Base):
    __tablename__ = "regions"
    name = Column(String, primary_key=True)
    content = Column(LargeBinary)


APPEND = text("INSERT INTO regions(name, append) VALUES (:name, :append)")


def state(session):
    return "%d note, %d bytes in the log" % (
        session.scalar(select(func.count(Note.id))),
        session.scalar(select(func.length(Region.content)).where(Region.name == "log")),
    )


# create_all() would make an ordinary table of the regions: leave it out, and create it by SQL.
with engine.begin() as connection:
    Note.metadata.create_all(connection, tables=[Note.__table__])
    connection.execute(text("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')"))

with Session(engine) as session:
    sqlite_version, seqdb_version = session.execute(text("SELECT sqlite_version(), seqdb_version()")).one()
    print("SQLite %s, seqdb %s" % (sqlite_version, seqdb_version))
    print("journal mode: " + session.scalar(text("PRAGMA journal_mode")))

# One transaction, committed at the end of the block.
with Session(engine) as session, session.begin():
    session.add(Note(text="two lines"))
    session.add(Region(name="raw", content=b"\x00\xff\x80\x01"))
    session.execute(APPEND, [{"name": "log", "append": b"first\n"}, {"name": "log", "append": b"second\n"}])
with Session(engine) as session:
    print("committed: " + state(session))

with Session(engine) as session:
    session.add(Note(text="never to be"))
    session.flush()
    session.execute(APPEND, {"name": "log", "append": b"third\n"})
    session.rollback()
    print("rolled back: " + state(session))

with Session(engine) as session:
    print("content: " + session.get(Region, "raw").content.hex())
    part = select(func.substr(Region.content, 2, 2)).where(Region.name == "raw")
    print("a part by substr: " + session.scalar(part).hex())
    print("a part by seqdb_read: " + session.scalar(select(func.seqdb_read("regions", "raw", 1, 2))).hex())

with Session(engine) as session, session.begin():
    session.execute(text("UPDATE regions SET length = :length WHERE name = :name"), {"length": 5, "name": "log"})
    session.get(Region, "raw").content = b"\x02"
with Session(engine) as session:
    contents = session.scalars(select(Region.content).order_by(Region.name))
    print("cut and replaced: " + ", ".join(content.hex() for content in contents))

with Session(engine) as session, session.begin():
    session.delete(session.get(Region, "log"))
    session.delete(session.get(Region, "raw"))
    for note in session.scalars(select(Note)):
        session.delete(note)
with Session(engine) as session:
    print("removed: %d regions left" % session.scalar(select(func.count(Region.name))))
    print("check: " + session.scalar(select(func.seqdb_check("regions"))))
engine.dispose()

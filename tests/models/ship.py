#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Model of how seqdb-ship names, fences, takes over, makes bases, prunes and follows (ext/ship/README.md).

Publishers, makers of bases, a pruner and followers are generators: between two yields any other may run, and each may
be killed at a yield.  The carrier creates exclusively; a call may say "away" and do its work then, later or never.
Power cuts set a database back to what was settled, and kill what runs beside it.  A follower may be promoted: its
first write starts a new chain, and its publisher takes the carrier over while the old one may still run.

    ship.py RUNS [seed=N] [t=STEPS] [-rule ...] [v]

Each rule can be switched off; a counterexample must then appear.  Last line: runs N steps M counterexamples K.
"""
import random
import sys

RULES = {
    'exclusive': 'a create never replaces an object',
    'existing': 'where an object exists already, its publisher goes on from where that one ends',
    'fence': 'a publisher looks for a newer epoch before it creates an object, and stops',
    'parts_first': 'the object that has the name <uuid>/<from> comes after its other parts',
    'part_tags': 'parts have names of their attempt',
    'one_commit': 'a follower takes all parts and its new generation in one commit',
    'head_last': 'a head comes after all pieces of its base',
    'base_start': 'the place in the chain that a head names was read before the base was copied',
    'prune_start': 'pruning keeps the chain from where the kept base starts in it, not from its generation',
    'prune_epoch': 'pieces without a head are pruned only if of an older epoch than the kept head: it forbids them one',
    'settled': 'only what is durable is shipped',
    'new_uuid': "a promoted follower's first write starts a new chain",
    'new_chain': 'a publisher whose database is of another chain than the newest head begins with a base',
    'no_return': 'a database whose chain another one has ended is not published any more',
    'gap': 'a follower that finds its place pruned starts from the newest base',
    'moved': 'a follower that sees a newer head of another chain starts from its base',
}
R = set(RULES)
REGIONS = 3


class Bad(Exception):
    """A counterexample."""


class Away(Exception):
    """The carrier cannot be reached."""


class Carrier:
    def __init__(self, rng):
        self.rng, self.objects, self.late, self.stale = rng, {}, [], {}

    def land(self, name, value):
        if name in self.objects and 'exclusive' in R:
            return False
        if name in self.objects and self.objects[name] is not value:
            raise Bad('object %s is replaced by another one' % name)
        self.objects[name] = value
        self.watch_fence(value)
        return True

    def watch_fence(self, value):
        """A publisher whose epoch is over may have one object under way, and one that comes late."""
        epoch = value.get('epoch')
        if value.get('kind') == 'object' and 'epoch/%d' % (epoch + 1) in self.objects:
            self.stale[epoch] = self.stale.get(epoch, 0) + 1
            if self.stale[epoch] > 2:
                raise Bad('a publisher of epoch %d goes on beside its successor' % epoch)

    def create(self, name, value, steady):
        """True: made; False: exists."""
        if not steady and self.rng.random() < 0.04:
            fate = self.rng.random()
            if fate < 0.4:
                self.land(name, value)
            elif fate < 0.7:
                self.late.append((name, value))
            raise Away()
        return self.land(name, value)

    def get(self, name):
        return self.objects.get(name)


class Database:
    """Regions with values.  truth[(uuid, generation)] is what every copy must look like at that generation."""

    def __init__(self, world, uuid, regions=(0,) * REGIONS, generation=0):
        self.world, self.uuid, self.regions, self.generation = world, uuid, tuple(regions), generation
        self.settled, self.log, self.writer = generation, [], True
        self.floor = generation

    def commit(self):
        world = self.world
        if not self.writer:
            self.writer = True
            if 'new_uuid' in R:
                world.uuids += 1
                self.uuid = 'u%d' % world.uuids
                self.log, self.floor = [], self.generation
        world.value += 1
        i = world.rng.randrange(REGIONS)
        regions = list(self.regions)
        regions[i] = world.value
        self.regions, self.generation = tuple(regions), self.generation + 1
        self.log.append((self.generation, i, world.value, self.regions))
        world.truth.setdefault((self.uuid, self.generation), set()).add(self.regions)

    def power_cut(self):
        back = self.world.rng.randint(self.settled, self.generation)
        self.log = [entry for entry in self.log if entry[0] <= back]
        for lost in range(back + 1, self.generation + 1):
            self.world.truth.pop((self.uuid, lost), None)
        if self.log:
            self.generation, self.regions = self.log[-1][0], self.log[-1][3]
        elif back < self.generation:
            self.generation, self.regions = self.floor, self.world.floors[(self.uuid, self.floor)]

    def since(self, start):
        """What seqdb_object() makes: the regions changed after start, as they are now."""
        return {i: self.regions[i] for generation, i, _, _ in self.log if generation > start}


class World:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.value, self.uuids, self.truth, self.floors, self.tags, self.epochs_seen = 0, 1, {}, {}, 0, 0
        self.carrier = Carrier(self.rng)
        self.floors[('u1', 0)] = (0,) * REGIONS
        self.main = Database(self, 'u1')
        self.databases = [self.main]
        self.processes, self.steady, self.story = [], False, []

    def tag(self):
        self.tags += 1
        return 't%d' % self.tags

    def say(self, text):
        self.story.append(text)


def try_create(w, name, value):
    """A create that is repeated while the carrier is away.  Returns what has the name at last."""
    while True:
        try:
            made = w.carrier.create(name, value, w.steady)
            yield
            if made:
                return value
            found = w.carrier.get(name)
            yield
            return found
        except Away:
            yield


def newest(w, kind):
    n = 0
    while w.carrier.get('%s/%d' % (kind, n + 1)) is not None:
        n += 1
        yield
    return n


def newest_head(w):
    n = yield from newest(w, 'head')
    return n, (w.carrier.get('head/%d' % n) if n else None)


class Fenced(Exception):
    pass


def check_epoch(w, epoch):
    if 'fence' in R and w.carrier.get('epoch/%d' % (epoch + 1)) is not None:
        raise Fenced()
    yield


def check_return(w, uuid):
    n, head = yield from newest_head(w)
    if 'no_return' not in R or not head or head['uuid'] == uuid:
        return
    for m in range(1, n):
        if w.carrier.get('head/%d' % m)['uuid'] == uuid:
            raise Fenced()
        yield


def make_parts(w, database, start):
    """Two parts, or one.  A part holds half of the regions; all are read in one transaction."""
    changed, to = database.since(start), database.generation
    halves = [{i: v for i, v in changed.items() if i != 1}, {i: v for i, v in changed.items() if i == 1}]
    return [half for half in halves if half] or [{}], to


def ship_one(w, database, epoch, tip):
    """One object after `tip`; returns the new tip."""
    parts, to = make_parts(w, database, tip)
    tag = w.tag() if 'part_tags' in R else 't'
    uuid = database.uuid
    yield
    if 'settled' in R:
        database.settled = max(database.settled, min(to, database.generation))
        yield
    main = dict(kind='object', uuid=uuid, start=tip, to=to, tag=tag, count=len(parts), part=parts[0], epoch=epoch)
    name = '%s/%d' % (uuid, tip)
    steps = ['rest', 'main'] if 'parts_first' in R else ['main', 'rest']
    found = main
    for step in steps:
        if step == 'main':
            yield from check_epoch(w, epoch)
            found = yield from try_create(w, name, main)
        else:
            for k, part in enumerate(parts[1:], 2):
                yield from try_create(w, '%s.%s.%d' % (name, tag, k), dict(kind='part', to=to, part=part))
    tip = found['to'] if found and 'existing' in R else to
    if found and found['to'] != tip:
        raise Bad('a publisher goes on from %d, where no object ends' % tip)
    return tip


def walk(w, uuid, start):
    """The end of the chain."""
    while True:
        found = w.carrier.get('%s/%d' % (uuid, start))
        yield
        if not found:
            return start
        start = found['to']


def make_base(w, database, epoch):
    """A base, then its head.  Returns the place in the chain where it starts."""
    n, head = yield from newest_head(w)
    uuid = database.uuid
    start = head['start'] if head and head['uuid'] == uuid else database.generation
    if 'base_start' in R:
        start = yield from walk(w, uuid, start)
    copy = (database.uuid, database.generation, database.regions)
    if copy[0] != uuid:
        raise Fenced()
    if 'settled' in R:
        database.settled = max(database.settled, database.generation)
    yield
    if 'base_start' not in R:
        start = yield from walk(w, uuid, start)
    tag = w.tag()
    pieces = ['%s/base.%d.%s.%d' % (uuid, epoch, tag, k) for k in (1, 2)]
    while True:
        value = dict(uuid=uuid, generation=copy[1], start=start, epoch=epoch, tag=tag, pieces=pieces)
        if 'head_last' in R:
            for k, piece in enumerate(pieces):
                yield from try_create(w, piece, dict(kind='piece', k=k, copy=copy))
        yield from check_return(w, uuid)
        yield from check_epoch(w, epoch)
        found = yield from try_create(w, 'head/%d' % (n + 1), value)
        if found is value or (found and found['tag'] == tag):
            break
        n, head = yield from newest_head(w)
    if 'head_last' not in R:
        for k, piece in enumerate(pieces):
            yield from try_create(w, piece, dict(kind='piece', k=k, copy=copy))
    return start


def publisher(w, database, rounds, by_force):
    try:
        epoch = yield from newest(w, 'epoch')
        owner = w.carrier.get('epoch/%d' % epoch) if epoch else None
        yield from check_return(w, database.uuid)
        if owner and not by_force and any(p.name == owner['name'] for p in w.processes):
            return
        me = w.tag()
        found = yield from try_create(w, 'epoch/%d' % (epoch + 1), dict(name=me, uuid=database.uuid))
        if not found or found['name'] != me:
            return
        epoch += 1
        current().name = me
        n, head = yield from newest_head(w)
        if head and head['epoch'] > epoch:
            return
        uuid = database.uuid
        if head is None or ('new_chain' in R and head['uuid'] != uuid):
            tip = yield from make_base(w, database, epoch)
        else:
            tip = head['start']
        tip = yield from walk(w, uuid, tip)
        while rounds:
            if database.uuid != uuid:
                return
            if tip > database.generation:
                return
            if tip < database.floor:
                tip = yield from make_base(w, database, epoch)
                tip = yield from walk(w, uuid, tip)
            if tip < database.generation:
                tip = yield from ship_one(w, database, epoch, tip)
                rounds -= 1
            if w.rng.random() < 0.15 and not w.steady:
                yield from make_base(w, database, epoch)
            yield
    except Fenced:
        return


def base_maker(w, database):
    """The command base, beside a publisher or without one; it takes nothing over."""
    try:
        epoch = yield from newest(w, 'epoch')
        yield from check_return(w, database.uuid)
        owner = w.carrier.get('epoch/%d' % epoch) if epoch else None
        if owner and owner['uuid'] == database.uuid:
            yield from make_base(w, database, epoch)
    except Fenced:
        return


def pruner(w):
    """Keeps the newest base, its chain, and what may still become a base."""
    n, head = yield from newest_head(w)
    if not n:
        return
    limit = head['start'] if 'prune_start' in R else head['generation']
    for name in sorted(w.carrier.objects):
        yield
        folder, own = name.split('/')
        if folder in ('head', 'epoch') or name in head['pieces']:
            continue
        if own.startswith('base.'):
            made = int(own.split('.')[1])
            if made < head['epoch'] or 'prune_epoch' not in R:
                w.carrier.objects.pop(name, None)
        elif folder == head['uuid']:
            if int(own.split('.')[0]) < limit:
                w.carrier.objects.pop(name, None)
        elif int(folder[1:]) < int(head['uuid'][1:]):
            w.carrier.objects.pop(name, None)


class Follower:
    def __init__(self, w):
        self.w, self.uuid, self.generation, self.regions, self.head = w, None, 0, None, 0
        self.promoted = False

    def check(self):
        truth = self.w.truth.get((self.uuid, self.generation)) or {self.w.floors.get((self.uuid, self.generation))}
        if self.regions not in truth or len(truth) > 1:
            raise Bad('follower %s %s has %s, the writer %s' % (self.uuid, self.generation, self.regions, truth))

    def restore(self):
        """The newest base that is whole."""
        n, head = yield from newest_head(self.w)
        while n:
            head = self.w.carrier.get('head/%d' % n)
            copies = []
            for piece in head['pieces']:
                found = self.w.carrier.get(piece)
                yield
                if found:
                    copies.append(found['copy'])
            if len(copies) == len(head['pieces']):
                self.uuid, self.generation, self.regions = copies[0]
                self.head = n
                self.check()
                return True
            n -= 1
        return False

    def locate(self, head):
        """The object that has our generation inside."""
        start = head['start']
        while start <= self.generation:
            found = self.w.carrier.get('%s/%d' % (self.uuid, start))
            yield
            if not found or found['to'] > self.generation:
                return found
            start = found['to']
        return None

    def apply(self, main):
        w = self.w
        parts, before = [main['part']], self.generation
        if 'one_commit' not in R:
            self.generation = main['to']
            yield
        for k in range(2, main['count'] + 1):
            found = w.carrier.get('%s/%d.%s.%d' % (main['uuid'], main['start'], main['tag'], k))
            yield
            if found is None:
                return False
            parts.append(found['part'])
        if self.promoted or self.generation not in (before, main['to']):
            return False
        regions = list(self.regions)
        for part in parts:
            for i, value in part.items():
                regions[i] = value
        self.regions, self.generation = tuple(regions), main['to']
        self.check()
        return True

    def run(self, rounds):
        w = self.w
        while rounds and not self.promoted:
            yield
            rounds -= 1
            if self.uuid is None:
                yield from self.restore()
                continue
            main = w.carrier.get('%s/%d' % (self.uuid, self.generation))
            yield
            if self.promoted:
                return
            whole = main and (yield from self.apply(main))
            if not whole and not self.promoted:
                n, head = yield from newest_head(w)
                if not head:
                    continue
                if head['uuid'] != self.uuid:
                    if 'moved' in R:
                        yield from self.restore()
                    continue
                if head['start'] > self.generation:
                    if 'gap' in R:
                        yield from self.restore()
                    continue
                main = yield from self.locate(head)
                if main and not self.promoted:
                    yield from self.apply(main)


class Process:
    def __init__(self, generator, database=None, name=None):
        self.generator, self.database, self.name = generator, database, name


RUNNING = [None]


def current():
    return RUNNING[0]


def step(w, process):
    RUNNING[0] = process
    try:
        next(process.generator)
    except StopIteration:
        w.processes.remove(process)


def check_heads(w):
    epoch, uuids, n = 0, [], 1
    while 'head/%d' % n in w.carrier.objects:
        head = w.carrier.objects['head/%d' % n]
        if head['epoch'] < epoch:
            raise Bad('head %d is of epoch %d, after one of %d' % (n, head['epoch'], epoch))
        epoch = head['epoch']
        if head['uuid'] in uuids[:-1]:
            raise Bad('head %d goes back to chain %s' % (n, head['uuid']))
        if not uuids or uuids[-1] != head['uuid']:
            uuids.append(head['uuid'])
        n += 1


def start_something(w, followers):
    rng = w.rng
    what = rng.random()
    writer = rng.choice(w.databases)
    if what < 0.4:
        w.processes.append(Process(publisher(w, writer, rng.randint(1, 6), rng.random() < 0.6), writer))
    elif what < 0.55:
        w.processes.append(Process(base_maker(w, writer), writer))
    elif what < 0.7:
        w.processes.append(Process(pruner(w)))
    else:
        follower = rng.choice(followers)
        if not follower.promoted and not any(p.database is follower for p in w.processes):
            w.processes.append(Process(follower.run(rng.randint(3, 30)), follower))


def promote(w, follower):
    """The follower becomes a writer; the old writer may go on, not knowing it."""
    follower.promoted = True
    w.processes = [p for p in w.processes if p.database is not follower]
    database = Database(w, follower.uuid, follower.regions, follower.generation)
    database.writer = False
    w.databases.append(database)
    w.uuids += 0
    database.commit()
    w.floors[(database.uuid, database.floor)] = follower.regions
    w.main = database


def disturb(w, followers):
    rng = w.rng
    what = rng.random()
    if what < 0.45:
        rng.choice(w.databases).commit()
    elif what < 0.55 and w.processes:
        w.processes.remove(rng.choice(w.processes))
    elif what < 0.58:
        database = rng.choice(w.databases)
        w.processes = [p for p in w.processes if p.database is not database]
        database.power_cut()
    elif what < 0.59:
        ready = [f for f in followers if f.uuid and not f.promoted]
        if len(ready) > 1 and len(w.databases) < 3:
            promote(w, rng.choice(ready))
    elif what < 0.65 and w.carrier.late:
        w.carrier.land(*w.carrier.late.pop(rng.randrange(len(w.carrier.late))))
    elif what < 0.9:
        start_something(w, followers)


def settle(w, followers):
    """All quiet: one publisher of the writer, followers until nothing is new.  Then all must be equal."""
    for name, value in w.carrier.late:
        w.carrier.land(name, value)
    w.processes, w.steady = [], True
    w.main.commit()
    for _ in range(2):
        process = Process(publisher(w, w.main, 1, True), w.main)
        w.processes = [process]
        for _ in range(3000):
            if process not in w.processes:
                break
            step(w, process)
    for follower in followers:
        if follower.promoted:
            continue
        process = Process(follower.run(60), follower)
        w.processes = [process]
        while process in w.processes:
            step(w, process)
        if (follower.uuid, follower.generation) != (w.main.uuid, w.main.generation):
            raise Bad('in the end a follower is at %s %s, the writer at %s %s' % (
                follower.uuid, follower.generation, w.main.uuid, w.main.generation))
        if follower.regions != w.main.regions:
            raise Bad('in the end a follower has %s, the writer %s' % (follower.regions, w.main.regions))


def run(seed, length):
    w = World(seed)
    followers = [Follower(w), Follower(w), Follower(w)]
    w.processes.append(Process(publisher(w, w.main, 3, False), w.main))
    running, steps = None, 0
    for steps in range(length):
        if w.rng.random() < 0.12:
            disturb(w, followers)
        if w.processes:
            if running not in w.processes or w.rng.random() > 0.6:
                running = w.rng.choice(w.processes)
            step(w, running)
        check_heads(w)
    settle(w, followers)
    check_heads(w)
    return steps


def main(arguments):
    runs, seed, length, loud = int(arguments[0]), 1, 400, False
    for word in arguments[1:]:
        if word.startswith('seed='):
            seed = int(word[5:])
        elif word.startswith('t='):
            length = int(word[2:])
        elif word.startswith('-') and word[1:] in RULES:
            R.discard(word[1:])
        elif word == 'v':
            loud = True
        else:
            sys.exit('unknown: %s; rules: %s' % (word, ' '.join(RULES)))
    steps = bad = 0
    for number in range(seed, seed + runs):
        try:
            steps += run(number, length)
        except Bad as why:
            bad += 1
            if loud or bad == 1:
                print('seed %d: %s' % (number, why))
    print('runs %d steps %d counterexamples %d' % (runs, steps, bad))


main(sys.argv[1:])

#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Executable model of the change feed (core/FORMAT.md section 9): records list what they change, a checkpoint moves the
lists to the file `changes`, and followers ask for what changed after their generation.
    python3 changes.py RUNS [seed0] [-rule ...] [v]
default: all rules; -rule leaves one out; v prints the steps of the first counterexample.
The disk: each write of a file or header is lost, kept or torn by a power cut until its sync.  Others' acts: `changes`
is deleted, damaged, of an earlier moment or of a copy; an older program commits and checkpoints without lists; a
foreign program changes entries and is adopted; the journal's tail is lost (what it said is forgotten by its followers,
too); all files are restored from an earlier moment (then the uuid changes); sessions without syncs lose commits.  Who
recovers after that may be a member that only reads: others join it, ask, and change the database first.
Invariants: a follower that is told no gap gets every key in which its state differs from the newest one; and as long as
nobody but power cuts interferes, with syncs, the floor does not rise."""
import random, sys

RULES = {
    'token': 'a block leads to a state by generation and token (off: by generation alone)',
    'chain': 'a block goes on where the one before it ends',
    'before': 'a block is written before the header that lets its records go',
    'sync': 'and is durable before it',
    'from': 'a new list is believed with the header before it, too',
    'newest': 'what is merged is of the newest generation in it',
    'drop': 'dropping the oldest raises the floor',
    'listed': 'a record without a list raises the floor',
    'skip': 'after lost or foreign changes the next header skips numbers',
    'told': 'who joins is told of it, while that header is not written',
    'uuid': 'a restored directory gets another uuid',
    'missing': 'without a file that leads to the base the floor is the base',
}
NUMBER_SKIPPED = 50
KEYS = 6
LIMIT = 14  # items
R = {}


class Bad(Exception):
    pass


class Disk:
    """Header pages, records, `changes`: what the cache has, and what a power cut may leave."""

    def __init__(self):
        self.pages = [[None], [None]]  # versions, the last one is the cache's; the first one is durable
        self.records = [[]]
        self.changes = [None]

    def cut(self, rng):
        for name in ('records', 'changes'):
            setattr(self, name, [rng.choice(getattr(self, name))])
        for i in (0, 1):
            self.pages[i] = [rng.choice(self.pages[i])]

    def header(self):
        return max((p[-1] for p in self.pages if p[-1]), key=lambda h: h['sequence'])


class Model:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.log = []
        self.disk = Disk()
        self.off = False
        self.old = []  # earlier moments: all files, and the state
        self.old_changes = []
        self.clean = True  # nobody has interfered
        self.calm = 0  # the floor that may not rise
        base = (0, 0)
        first = dict(sequence=2, salt=self.rng.random(), base=base, state=(0,) * KEYS, uuid=1, off=False)
        self.disk.pages[0] = [first]
        self.load()
        self.followers = [dict(generation=0, state=(0,) * KEYS, uuid=1) for _ in range(3)]

    def load(self):
        d = self.disk
        h = self.h = d.header()
        self.state, self.tip, self.newest = h['state'], h['base'][1], h['base'][0]
        for r in self.live():
            self.state, self.tip, self.newest = r['state'], r['token'], r['generation']

    def live(self):
        return [r for r in self.disk.records[-1] if r['salt'] == self.h['salt']]

    # ---- the program

    def commit(self, listed=True):
        state, items = list(self.state), []
        for key in self.rng.sample(range(KEYS), self.rng.choice((1, 1, 2))):
            state[key] = self.rng.random()
            items.append([key, self.newest + 1])
        r = dict(salt=self.h['salt'], token=self.rng.random(), generation=self.newest + 1, state=tuple(state),
                 items=items if listed else None)
        d = self.disk
        d.records = ([d.records[0]] if self.off else []) + [d.records[-1] + [r]]  # R3: durable, but without syncs
        if self.off:
            d.records.insert(1, d.records[0])
        self.load()

    def read_file(self, h):
        """-> (known, items, floor, usable for appending: blocks)"""
        blocks, items, floor = self.disk.changes[-1] or [], [], 0
        for i, b in enumerate(blocks):
            if b is None or b['uuid'] != h['uuid'] or (i and R['chain'] and b['from'] != blocks[i - 1]['to']):
                break
            items, floor = items + b['items'], max(floor, b['floor'])
            same = (lambda s: s == h['base']) if R['token'] else (lambda s: s[0] == h['base'][0])
            if same(b['to']):
                return True, items, floor, blocks[:i + 1]
            if i == 0 and R['from'] and same(b['from']):
                return True, items, floor, None
        return False, [], h['base'][0] if R['missing'] else 0, None

    def gather(self):
        known, items, floor, blocks = self.read_file(self.h)
        fresh, raised = [], 0
        for r in self.live():
            if r['items'] is None:
                raised = r['generation'] if R['listed'] else raised
            fresh = [i for i in fresh if i[1] > raised] + (r['items'] or [])
        return known, items, max(floor, self.lost), blocks, fresh, raised

    lost = 0  # the number that the next header has at least, and the floor until then
    waits = False  # who has recovered only reads

    def fit(self, items, floor):
        items = sorted([list(i) for i in {tuple(i) for i in items}], key=lambda i: i[1])
        if len(items) <= LIMIT // 2:
            return items, floor
        half, young = items[:len(items) // 2], items[len(items) // 2:]
        merged = {}
        for key, generation in half:
            choose = max if R['newest'] else min
            merged[key] = choose(merged.get(key, generation), generation)
        items = sorted([[k, g] for k, g in merged.items()] + young, key=lambda i: i[1])
        while len(items) > LIMIT // 2:
            gone = items[0][1]
            items = [i for i in items if i[1] > gone]
            if R['drop']:
                floor = max(floor, gone)
                self.calm = max(self.calm, floor)
        return items, floor

    def write_changes(self):
        to = (self.newest, self.tip)
        known, items, floor, blocks, fresh, raised = self.gather()
        floor = min(max(floor, raised), to[0])
        if to == self.h['base']:
            return
        block = dict(uuid=self.h['uuid'], to=to, items=fresh, floor=floor, **{'from': self.h['base']})
        size = sum(len(b['items']) for b in blocks or []) + len(fresh)
        d = self.disk
        if known and blocks and size <= LIMIT:
            rest = self.disk.changes[-1][len(blocks) + 1:]  # of a checkpoint whose header was lost
            new, torn = blocks + [block] + rest, blocks + [None] + rest
        else:
            items, floor = self.fit([i for i in items + fresh if i[1] > floor], floor)
            new, torn = [dict(block, items=items, floor=floor)], d.changes[-1]
        d.changes = d.changes + [torn, new]
        if R['sync'] and not self.off:
            d.changes = [new]

    def checkpoint(self, cut=None, older=False):
        d, h = self.disk, self.h
        if R['before'] and not older:
            self.write_changes()
        if cut == 'changes':
            return
        new = dict(sequence=h['sequence'] + 1, salt=self.rng.random(), base=(self.newest, self.tip), state=self.state,
                   uuid=h['uuid'], off=self.off)
        page = d.pages[new['sequence'] % 2]
        page.append(new)
        if not R['before'] and not older and cut != 'header':
            self.write_changes()
        if cut == 'header':
            return
        if not self.off:
            d.pages[new['sequence'] % 2] = [new]
        d.records = d.records if self.off else [d.records[-1]]
        self.load()

    def recover(self):
        d = self.disk
        self.load()
        lost = self.h['off']
        skip = NUMBER_SKIPPED if lost and R['skip'] else 0
        self.lost = self.newest + skip if lost else 0
        if lost:
            self.clean = False
        self.off = False
        self.waits = lost and self.rng.random() < 0.6
        if not self.waits:
            self.newest += skip
            self.checkpoint()
            self.lost = 0

    def lead(self, cut=None):
        """A member that joined is the first one to change anything; `cut`: in its first checkpoint."""
        if not self.waits:
            return self.checkpoint(cut) if cut else None
        self.waits = False
        if R['told']:
            self.newest = self.lost
            self.checkpoint(cut)
        self.lost = 0

    # ---- followers

    def ask(self, f):
        knows = self.lost
        if self.waits and not R['told'] and self.rng.random() < 0.5:  # of a member that joined
            self.lost = 0
        known, items, floor, blocks, fresh, raised = self.gather()
        self.lost = knows
        floor = max(floor, raised)
        if self.clean and floor > self.calm:
            raise Bad(f'the floor rose from {self.calm} to {floor}')
        since = f['generation']
        gap = since and (since < floor or since > self.newest or f['uuid'] != self.h['uuid'])
        if since == 0 or gap:
            got = self.state
        else:
            told = {k for k, g in items + fresh if g > since}
            got = tuple(self.state[k] if k in told else f['state'][k] for k in range(KEYS))
        if got != self.state:
            raise Bad(f'silent gap: follower of {since}, newest {self.newest}, floor {floor}')
        f.update(generation=self.newest, state=got, uuid=self.h['uuid'])
        return gap

    # ---- steps

    def step(self):
        rng, d = self.rng, self.disk
        acts = dict(commit=30, ask=30, checkpoint=12, cut=8, power=6, moment=3, delete=1, damage=1, older=2, adopt=1,
                    restore=1, old_changes=1, off=1, tail=3)
        act = rng.choices(list(acts), list(acts.values()))[0]
        self.log.append(act)
        if act not in ('ask', 'cut', 'power', 'moment', 'delete', 'damage', 'old_changes'):
            self.lead()
        if act == 'commit':
            self.commit()
        elif act == 'ask':
            self.ask(rng.choice(self.followers))
        elif act == 'checkpoint':
            self.checkpoint()
        elif act == 'cut':  # in a checkpoint
            self.lead(cut=rng.choice(['changes', 'header']))
            d.cut(rng)
            self.recover()
        elif act == 'power':
            d.cut(rng)
            self.recover()
        elif act == 'moment':
            if not self.off:
                self.old.append(([list(p) for p in d.pages], [list(r) for r in d.records], list(d.changes)))
            self.old_changes.append(d.changes[-1])
        elif act == 'off':
            self.checkpoint()
            self.off = True
            self.h['off'] = True  # as its first header says
            d.pages[self.h['sequence'] % 2] = [self.h]
            self.clean = False
        else:
            self.clean = False
            if act == 'delete':
                d.changes = [None]
            elif act == 'damage' and d.changes[-1]:
                blocks = list(d.changes[-1])
                blocks[rng.randrange(len(blocks))] = None
                d.changes = [blocks]
            elif act == 'older' and not self.off:
                self.commit(listed=False)
                if rng.random() < 0.5:
                    self.checkpoint(older=True)
            elif act == 'adopt' and not self.off:
                self.checkpoint()
                state = list(self.state)
                state[rng.randrange(KEYS)] = rng.random()
                self.state = tuple(state)
                skip = 1 if R['skip'] else 0
                self.newest += skip
                self.lost = self.newest
                self.checkpoint()
                self.lost = 0
            elif act == 'restore' and self.old and not self.off:
                pages, records, changes = rng.choice(self.old)
                d.pages, d.records, d.changes = [[list(p)[-1]] for p in pages], [list(records[-1])], [changes[-1]]
                if rng.random() < 0.5:
                    d.changes = [rng.choice(self.old_changes or [None])]
                self.load()
                if R['uuid']:
                    h = dict(self.h, uuid=rng.random(), sequence=self.h['sequence'] + 1, salt=rng.random(),
                             base=(self.newest, self.tip), state=self.state)
                    d.pages[h['sequence'] % 2] = [h]
                    self.load()
            elif act == 'tail' and self.live() and not self.off:
                if rng.random() < 0.6:
                    self.checkpoint(cut='changes')
                d.records = [d.records[-1][:-rng.randint(1, len(self.live()))]]
                self.load()
                for f in self.followers:  # of what is lost nobody can know
                    if f['generation'] > self.newest:
                        f.update(generation=0)
            elif act == 'old_changes' and self.old_changes:
                d.changes = [rng.choice(self.old_changes)]

    def run(self, steps):
        for _ in range(steps):
            self.step()
            if self.log[-1] in ('cut', 'power') and self.clean and self.known_floor() > self.calm:
                raise Bad(f'a power cut raised the floor from {self.calm} to {self.known_floor()}')

    def known_floor(self):
        known, items, floor, blocks, fresh, raised = self.gather()
        return max(floor, raised)


def main():
    args = sys.argv[1:]
    numbers = [int(a) for a in args if a.isdigit()]
    runs, seed0 = (numbers + [200, 0])[0], numbers[1] if len(numbers) > 1 else 0
    for rule in RULES:
        R[rule] = '-' + rule not in args
    bad = 0
    for seed in range(seed0, seed0 + runs):
        model = Model(seed)
        try:
            model.run(120)
        except Bad as problem:
            if not bad and 'v' in args:
                print(f'seed {seed}: {problem}\n  ' + ', '.join(model.log))
            bad += 1
    print(f'runs {runs} counterexamples {bad}')


main()

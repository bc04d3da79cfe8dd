"""The guest's side of the effects: addresses and ENIs are put there, taken off, and looked at after a failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from hafailover.cloud.plan import TRANSIENT
from hafailover.daemon.following import Following
from hafailover.election import events as ev
from hafailover.election.values import Resource, ResourceKind
from hafailover.errors import CloudError, GuestError
from hafailover.guest.writers import second_writers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from hafailover.config.model import Group
    from hafailover.daemon.parts import Parts
    from hafailover.election import effects as fx
    from hafailover.election.events import Event
    from hafailover.election.values import GroupName
    from hafailover.guest.interface import Interface
    from hafailover.guest.network import GuestNetwork, Link

DISARM_RETRY_S = 1.0
PLUG_DEADLINE_S = 10.0  # for the link of an ENI that the cloud says is attached here
PLUG_RETRY_S = 0.2
CLOUD_RETRY_S = 1.0

log = structlog.get_logger()


class Arming:
    """What one daemon has on its guest. `groups` are kept up to date by the owner, those that went included."""

    def __init__(
        self,
        parts: Parts,
        groups: Mapping[str, Group],
        post: Callable[[Event], None],
        spawn: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        self._parts = parts
        self._groups = groups
        self._post = post
        self._spawn = spawn
        self._armed: set[Resource] = set()
        self._asked: Counter[Resource] = Counter()  # how often each was to be armed
        self._link: Link | None = None
        self._swept = False
        self._told: set[str] = set()  # of second writers
        self.following = Following(groups)

    async def stop_answering(self, effect: fx.StopAnswering) -> None:
        """Have the guest answer for a resource no longer: a barrier. Tried again later where it fails."""
        self._armed.discard(effect.resource)
        self.following.unsure(effect.resource)
        guest, name = self._guest(effect.group), effect.resource.id
        if not self._is_known(effect.resource):
            self._spawn(self._disarm_later(guest, effect))  # what an earlier run of the daemon has left
            return
        try:
            await self._disarm(guest, effect)
        except GuestError as error:
            self._parts.metrics.guest_failed(effect.group, "disarm")
            log.error("disarm_failed", group=effect.group, resource=name, error=str(error))  # noqa: TRY400 - as above
            self._spawn(self._disarm_later(guest, effect))

    def _is_known(self, resource: Resource) -> bool:
        """Whether the guest can be told what is meant: an ENI's MAC address is the cloud's to say."""
        return resource.kind is ResourceKind.ADDRESS or self._parts.directory.mac(resource.id) is not None

    async def _disarm(self, guest: GuestNetwork, effect: fx.StopAnswering) -> None:
        resource = effect.resource
        await self.following.lift(effect.group, guest)
        if resource.kind is ResourceKind.ADDRESS:
            await guest.disarm(resource.id)
        elif mac := self._parts.directory.mac(resource.id):
            await guest.unplug(mac)

    async def _disarm_later(self, guest: GuestNetwork, effect: fx.StopAnswering) -> None:
        """Go on trying until it works or the address is wanted again: two nodes must not carry it."""
        resource = effect.resource
        while True:
            await asyncio.sleep(DISARM_RETRY_S)
            if resource in self._armed:
                return
            if not self._is_known(resource):
                continue
            try:
                await self._disarm(guest, effect)
            except GuestError:
                continue
            log.info("disarmed_late", resource=resource.id)
            return

    async def prepare(self, enis: Sequence[str]) -> None:
        """Learn what is needed before it is, which saves a claim time and tells early if anything is missing."""
        secondary = self._parts.directory.is_secondary(self._parts.eni_id)
        if enis or secondary:
            await self._learn_subnets()
        if enis:
            await self._sweep([*enis, self._parts.eni_id])
        if self._link is not None:
            return
        try:
            link = await self._find_link(self._parts.guest)
        except GuestError as error:
            log.warning("interface_unknown", error=str(error))
        else:
            if secondary:
                self._spawn(self._tell_of_writers(link, self._parts.directory.mac(self._parts.eni_id) or ""))

    async def _learn_subnets(self) -> None:
        try:
            await self._parts.directory.learn_subnets(self._parts.cloud)
        except CloudError as error:
            log.warning("subnets_unknown", code=error.code, detail=error.detail)

    async def _sweep(self, enis: Sequence[str]) -> None:
        """Once, take off the guest what is of none of these ENIs: an earlier file's."""
        macs = [mac for eni_id in enis if (mac := self._parts.directory.mac(eni_id))]
        if self._swept or len(macs) < len(enis):
            return
        self._swept = True
        try:
            await self._parts.guest.unplug_others(macs)
        except GuestError as error:
            log.warning("leftovers_not_released", error=str(error))

    async def _tell_of_writers(self, link: Link, mac: str) -> None:
        """Log, once each, which other programs may set up this card, and how to make them stop."""
        if not link.index:
            return  # somebody else looks after it
        asking = asyncio.get_running_loop().run_in_executor(None, second_writers, replace(link, mac=mac))
        for text in await asking:
            if text not in self._told:
                self._told.add(text)
                log.warning("second_writer", interface=link.name, what=text)

    def _guest(self, group: GroupName) -> GuestNetwork:
        return self._parts.guest_of(self._groups[group])

    def arm(self, effect: fx.Arm) -> None:
        """Begin to have the guest answer for a resource; what comes of it is posted."""
        self._armed.add(effect.resource)  # now, for it may be let go before the task has begun
        self._asked[effect.resource] += 1
        self.following.unsure(effect.resource)
        self._spawn(self._arm(effect, self._asked[effect.resource]))

    async def _arm(self, effect: fx.Arm, turn: int) -> None:
        error = ""
        try:
            begin = self._plug(effect, turn) if effect.resource.kind is ResourceKind.ENI else self._add(effect)
            if not await begin:
                return
        except GuestError as failure:
            error = self._failed(effect.group, effect.resource, failure)
        self._post(ev.GuestArmed(effect.group, effect.resource, error))

    def _failed(self, group: GroupName, resource: Resource, failure: GuestError) -> str:
        self._link = None
        self._parts.metrics.guest_failed(group, "arm")
        log.error("arm_failed", group=group, resource=resource.id, error=str(failure))
        return str(failure)

    def role_changed(self, effect: fx.RoleChanged) -> asyncio.Event:
        """Begin to lay what follows a group's addresses where it serves now; what is returned tells of the end."""
        ended = asyncio.Event()
        if self.following.role_changed(effect):
            self._spawn(self._lay(effect.group, ended))
        else:
            ended.set()
        return ended

    async def _lay(self, name: GroupName, ended: asyncio.Event) -> None:
        guest = self._guest(name)
        try:
            await self.following.lay(name, guest, await self._find_link(guest))
        except GuestError as failure:
            resource = Resource(ResourceKind.ADDRESS, self._groups[name].addresses[0])
            self._post(ev.GuestArmed(name, resource, self._failed(name, resource, failure)))
        finally:
            ended.set()

    async def _add(self, effect: fx.Arm) -> bool:
        """Add an address; return False where it was let go before the guest was asked."""
        guest = self._guest(effect.group)
        link = await self._find_link(guest)
        await self.following.judge(effect.group, guest, link)
        eni = await self._own_eni(effect)
        if effect.resource not in self._armed:
            return False  # had the guest been asked already, it would do one after the other
        await guest.arm(effect.resource.id, link, eni)
        if effect.resource in self._armed:
            self.following.there(effect.resource)
            await self.following.lay(effect.group, guest, link)
        return True

    async def _own_eni(self, effect: fx.Arm) -> Interface | None:
        """Return this node's ENI where that is a secondary one, by which answers must be made to leave.

        A cloud that does not tell its subnet is asked again for as long as the address is wanted.
        """
        directory, eni_id = self._parts.directory, self._parts.eni_id
        if self._guest(effect.group) is not self._parts.guest or not directory.is_secondary(eni_id):
            return None
        while effect.resource in self._armed:
            try:
                return await directory.interface(eni_id, self._parts.cloud)
            except CloudError as error:
                await self._wait_for_the_cloud(effect, eni_id, error)
        return None

    @staticmethod
    async def _wait_for_the_cloud(effect: fx.Arm, eni_id: str, error: CloudError) -> None:
        log.warning("eni_unknown", group=effect.group, eni=eni_id, code=error.code, detail=error.detail)
        await asyncio.sleep(CLOUD_RETRY_S)

    async def _plug(self, effect: fx.Arm, turn: int) -> bool:
        """Wait for the link of an ENI, and set it up the moment that it is there.

        Return False where it was asked for anew meanwhile: then what comes of that is to be told, not of this.

        That begins before the cloud is asked for the ENI, so that nothing is lost once it comes. How long it takes
        to come is the cloud's: only where the cloud says that it is attached here, and was when the wait began, has
        the guest failed. A cloud that says nothing is no fault of the guest's, and asked again.
        Where it was let go meanwhile, the core takes off what may have got there when it is told.
        """
        guest, eni_id = self._guest(effect.group), effect.resource.id
        while self._is_wanted(effect.resource, turn):
            was_here = self._was_here(eni_id)
            try:
                interface = await self._parts.directory.interface(eni_id, self._parts.cloud)
                await guest.plug(interface, deadline_s=PLUG_DEADLINE_S)
            except CloudError as error:
                await self._wait_for_the_cloud(effect, eni_id, error)
            except GuestError:
                if was_here and await self._is_here(eni_id) and self._is_wanted(effect.resource, turn):
                    raise
                await asyncio.sleep(PLUG_RETRY_S)
            else:
                self._spawn(self._tell_of_writers_on(guest, interface.mac))
                break
        return turn == self._asked[effect.resource]

    def _is_wanted(self, resource: Resource, turn: int) -> bool:
        return resource in self._armed and turn == self._asked[resource]

    def _was_here(self, eni_id: str) -> bool:
        return self._parts.directory.instance(eni_id) == self._parts.directory.instance(self._parts.eni_id)

    async def _is_here(self, eni_id: str) -> bool:
        """Ask the cloud whether an ENI is attached here: the last reading may be from before it went."""
        try:
            found = await self._parts.cloud.describe_enis([eni_id])
        except CloudError:
            return False
        mine = self._parts.directory.instance(self._parts.eni_id)
        return mine is not None and [(eni.instance_id, eni.state in TRANSIENT) for eni in found] == [(mine, False)]

    async def _tell_of_writers_on(self, guest: GuestNetwork, mac: str) -> None:
        try:
            link = await guest.find_link(mac=mac)
        except GuestError:
            return  # it has gone again
        await self._tell_of_writers(link, mac)

    async def probe(self, effect: fx.ProbeGuest) -> None:
        """Look whether a guest that has failed could answer again, and post that."""
        self._link, error = None, ""  # what was found before the failure may be gone
        try:
            guest = self._guest(effect.group)
            await self.following.judge(effect.group, guest, await self._find_link(guest))
        except GuestError as failure:
            error = str(failure)
        self._post(ev.GuestProbed(effect.group, error))

    async def _find_link(self, guest: GuestNetwork) -> Link:
        if guest is not self._parts.guest:
            return await guest.find_link()  # of a group that leaves the guest alone: it says nothing of the others
        if self._link is None:
            name, mac = self._parts.me.interface, self._parts.directory.mac(self._parts.eni_id)
            self._link = await guest.find_link(mac=mac, name=name)
        return self._link

/** How far our clock and the channel's may be apart: TikTok Shop refuses requests whose time is off by more than 5 minutes. */
export const clocksApartMilliseconds = 5 * 60_000;

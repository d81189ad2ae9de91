/** What is measured, as data: points at which every way moves the same job. */
export interface Point {
  readonly mib: number;
  readonly contents: Contents;
  /** Percent of its memory that a job writes to each second, no page twice before all others. */
  readonly dirtyPercent: number;
  readonly link: LinkRate;
  /** What `--compress` is given; `default` is migrate without that flag. */
  readonly compress: string;
}

export const contentKinds = ['random', 'zero', 'text', 'node-heap'] as const;
export type Contents = (typeof contentKinds)[number];

export const linkRates = ['100mbit', '1gbit', 'unlimited'] as const;
export type LinkRate = (typeof linkRates)[number];

export type Axis = keyof Point;

/** What a plan is made of: the values of each axis. */
export type PlanWish = { readonly [axis in Axis]: readonly Point[axis][] };

export interface PlannedPoint {
  readonly point: Point;
  /** The one thing in which it differs from the base point; undefined for that itself. */
  readonly axis: Axis | undefined;
  /** It takes long: once is enough. */
  readonly isSlow: boolean;
}

/** Twenty minutes on a quiet machine with two cores. */
export const defaultWish: PlanWish = {
  mib: [256, 16, 1024],
  contents: ['random', 'zero', 'text', 'node-heap'],
  dirtyPercent: [10, 0, 1, 50],
  link: ['1gbit', '100mbit', 'unlimited'],
  compress: ['default'],
};

/** Less than four. */
export const quickWish: PlanWish = {
  mib: [64, 16],
  contents: ['random', 'node-heap'],
  dirtyPercent: [10, 50],
  link: ['1gbit', 'unlimited'],
  compress: ['default'],
};

/** In this order the axes are gone along, and their tables printed. */
export const axes: readonly Axis[] = ['mib', 'contents', 'dirtyPercent', 'link', 'compress'];

/**
 * Not the full product, which would be days: the base point, which has the first value of each
 * axis, and from there each other value of one axis at a time.
 */
export function makePlan(wish: PlanWish): PlannedPoint[] {
  const base = basePoint(wish);
  const others = axes.flatMap((axis) =>
    [...new Set<Point[Axis]>(wish[axis])]
      .filter((value) => value !== base[axis])
      .map((value) => planned({ ...base, [axis]: value }, axis)),
  );
  return [planned(base, undefined), ...others];
}

export function basePoint({ mib, contents, dirtyPercent, link, compress }: PlanWish): Point {
  const [size, kind, percent, rate, codec] = [
    mib[0],
    contents[0],
    dirtyPercent[0],
    link[0],
    compress[0],
  ];
  if (!size || !kind || percent === undefined || !rate || !codec) throw new Error('an empty axis');
  return { mib: size, contents: kind, dirtyPercent: percent, link: rate, compress: codec };
}

/** Sending so much takes minutes for all ways together. */
const slowSeconds = 6;

function planned(point: Point, axis: Axis | undefined): PlannedPoint {
  const seconds = (point.mib * bytesPerMib) / bytesPerMs(point.link) / 1000;
  return { point, axis, isSlow: seconds > slowSeconds };
}

const bytesPerMib = 2 ** 20;
/** What one ssh connection carries here, if nothing else is slower. */
const sshBytesPerMs = 500_000;

/** Of a link of that rate, and of what sends over it. */
export function bytesPerMs(link: LinkRate): number {
  const rates = { '100mbit': 12_500, '1gbit': 125_000, unlimited: sshBytesPerMs };
  return rates[link];
}

/** The job and its images on both hosts, or its pages twice on the target, and some air. */
export function neededMib({ mib }: Point): number {
  return 4 * mib + 1024;
}

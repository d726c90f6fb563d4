import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { silenceGuard } from '../../../src/docker/silence.ts';

describe('silenceGuard', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('tells once, when nothing was heard for so long', () => {
    const onSilent = vi.fn<() => void>();
    silenceGuard(1000, { isHeldUp: () => false, onSilent });
    vi.advanceTimersByTime(999);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5000);
    expect(onSilent).toHaveBeenCalledOnce();
  });

  it('counts from the last sign of life', () => {
    const onSilent = vi.fn<() => void>();
    const guard = silenceGuard(1000, { isHeldUp: () => false, onSilent });
    vi.advanceTimersByTime(900);
    guard.heard();
    vi.advanceTimersByTime(900);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(100);
    expect(onSilent).toHaveBeenCalledOnce();
  });

  it('does not blame the process where its reader is slow', () => {
    let isHeldUp = true;
    const onSilent = vi.fn<() => void>();
    silenceGuard(1000, { isHeldUp: () => isHeldUp, onSilent });
    vi.advanceTimersByTime(10_500);
    isHeldUp = false;
    vi.advanceTimersByTime(400);
    expect(onSilent).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2000);
    expect(onSilent).toHaveBeenCalledOnce();
  });

  it('says nothing when stopped or switched off', () => {
    const onSilent = vi.fn<() => void>();
    silenceGuard(1000, { isHeldUp: () => false, onSilent }).stop();
    silenceGuard(0, { isHeldUp: () => false, onSilent });
    vi.advanceTimersByTime(1e9);
    expect(onSilent).not.toHaveBeenCalled();
  });
});

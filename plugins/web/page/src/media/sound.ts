// Sounds as the server takes them: WAV of one channel, 16 bits.
import { text } from "../text";

const RATE = 16_000;
const LONGEST = 600;

/** Any sound that the browser reads as WAV. Raises Error with a message for people. */
export async function preparedSound(sound: Blob, name: string): Promise<Blob> {
  const context = new OfflineAudioContext(1, 1, RATE);
  let decoded: AudioBuffer;
  try {
    decoded = await context.decodeAudioData(await sound.arrayBuffer());
  } catch {
    throw new Error(text.noDecode(name));
  }
  if (decoded.duration > LONGEST) throw new Error(text.tooLarge(name, `${LONGEST / 60} min`));
  return wav(mixed(decoded), decoded.sampleRate);
}

function mixed(sound: AudioBuffer): Float32Array {
  const found = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    const samples = sound.getChannelData(channel);
    for (let at = 0; at < samples.length; at++) found[at]! += samples[at]! / sound.numberOfChannels;
  }
  return found;
}

/** RIFF, with samples between -1 and 1. */
export function wav(samples: Float32Array, rate: number): Blob {
  const head = new DataView(new ArrayBuffer(44));
  const size = samples.length * 2;
  const word = (at: number, letters: string) => [...letters].forEach((letter, index) => head.setUint8(at + index, letter.charCodeAt(0)));
  word(0, "RIFF");
  head.setUint32(4, 36 + size, true);
  word(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  word(36, "data");
  head.setUint32(40, size, true);
  const data = new DataView(new ArrayBuffer(size));
  samples.forEach((sample, at) => data.setInt16(at * 2, Math.round(Math.max(-1, Math.min(1, sample)) * 32767), true));
  return new Blob([head, data], { type: "audio/wav" });
}

/** A recording that has begun; `stop` gives it as WAV. */
export class Recording {
  readonly started = Date.now();
  private parts: Blob[] = [];

  private constructor(private recorder: MediaRecorder, private stream: MediaStream) {
    recorder.addEventListener("dataavailable", (event) => this.parts.push(event.data));
    recorder.start();
  }

  /** Raises Error with a message for people where there is no microphone. */
  static async begin(): Promise<Recording> {
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      throw new Error(text.noMicrophone);
    }
    return new Recording(new MediaRecorder(stream), stream);
  }

  async stop(): Promise<Blob> {
    const stopped = new Promise((resolve) => this.recorder.addEventListener("stop", resolve, { once: true }));
    this.recorder.stop();
    await stopped;
    for (const track of this.stream.getTracks()) track.stop();
    return preparedSound(new Blob(this.parts, { type: this.recorder.mimeType }), text.recordingName);
  }
}
